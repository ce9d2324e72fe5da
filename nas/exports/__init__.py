"""Networks for elsewhere: a format is a file here, and proven in a clean process."""

import re
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from einmix.networks.architecture import Slotted
from nas.errors import NasError, nearest
from nas.exports import flax, hf, keras, module, onnx, timm
from nas.exports.check import Export, Exported, Format, checked, fresh

FORMATS = {
    "module": module.FORMAT,
    "onnx": onnx.FORMAT,
    "timm": timm.FORMAT,
    "hf": hf.FORMAT,
    "flax": flax.FORMAT,
    "keras": keras.FORMAT,
}


OTHERS = "timm", "flax", "keras"
"""Formats that are modules of Python, too, which begin by importing what they are for."""


def write_checked(wanted: Sequence[Export], folder: Path, format: str = "module") -> list[Exported]:
    """Writes networks in a format. Raises NasError where that cannot be, or does not give their outputs."""
    in_slots = any(isinstance(each.architecture, Slotted) for each in wanted)
    if in_slots and format in FORMATS and format != "module":
        raise NasError(f"format {format} holds a whole network, and this one fills slots of a model of your own")
    how = known(format)
    with TemporaryDirectory(prefix="nas-export-") as started:
        held = [_with_weights(each, Path(started, str(i))) if how.holds else each for i, each in enumerate(wanted)]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for each in held:
                _check_no_other(folder / f"{each.name}.py", format)
            written = [how.write(each, folder) for each in held]
        except OSError as error:
            raise NasError(f"cannot write {error.filename or folder}: {error.strerror}") from None
        found = written if in_slots else checked(written, how)  # mixers take the rest of the model to run
    return [each if asked.weights else replace(each, weights=None) for asked, each in zip(wanted, found, strict=True)]


def _check_no_other(file: Path, format: str) -> None:
    """Raises NasError where a module of another format has this name: formats that are Python share it."""
    if format in ("onnx", "hf") or not file.is_file():
        return
    text = file.read_text(encoding="utf-8", errors="replace")
    there = next((kind for kind in OTHERS if re.search(rf"^(import|from) {kind}\b", text, re.MULTILINE)), "module")
    if there != format:
        raise NasError(f"{file} is there in format {there}: -o another folder, or take it away")


def _with_weights(wanted: Export, file: Path) -> Export:
    return wanted if wanted.weights else replace(wanted, weights=fresh(wanted.architecture, file))


def known(format: str) -> Format:
    """A format by its name. Raises NasError for an unknown one, and where a package that it takes is not installed."""
    if format not in FORMATS:
        raise NasError(f"no format {format!r}: {nearest(format, FORMATS)}")
    how = FORMATS[format]
    if missing := [name for name in how.needs if find_spec(name) is None]:
        what = f"{' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed"
        raise NasError(f"format {format} takes {what}: pip install 'einmix-nas[{how.extra}]'")
    return how
