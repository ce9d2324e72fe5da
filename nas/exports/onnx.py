"""A network as one ONNX file, its weights in it, for batches of any size."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nas.errors import NasError, one_line
from nas.exports.check import Export, Exported, Format, loaded

LOAD = """
import onnxruntime

def load(file, weights):
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"input": x})[0], None
"""


def write(wanted: Export, folder: Path) -> Exported:
    """Writes `NAME.onnx`, from `input` (`b c ...` as in the module) to `logits`; facts are its metadata.

    Raises NasError where torch cannot export the network.
    """
    import torch

    architecture, file = wanted.architecture, folder / f"{wanted.name}.onnx"
    assert wanted.weights
    net = loaded(architecture, wanted.weights)
    *axes, channels = (size for _, size in architecture.inputs)
    example = torch.zeros(2, channels, *axes)
    batch = ({0: torch.export.Dim("batch")},)
    try:
        with _quietly():
            program = torch.onnx.export(
                *(net, (example,)),
                input_names=["input"],
                output_names=["logits"],
                dynamo=True,
                dynamic_shapes=batch,
                verbose=False,
            )
    except (torch.onnx.OnnxExporterError, RuntimeError) as error:
        raise NasError(f"onnx does not take architecture {architecture.id}: {one_line(str(error))[:300]}") from None
    assert program
    inputs = wanted.preprocessing.metadata if wanted.preprocessing else {}
    told = {name: one_line(text) for name, text in wanted.facts.items()}
    program.model.metadata_props.update(told | {"id": architecture.id} | inputs)
    program.save(file, external_data=False)
    return Exported(architecture, file, wanted.weights)


FORMAT = Format(write, LOAD, ("onnxruntime",), holds=True, extra="onnx", needs=("onnxruntime", "onnx", "onnxscript"))


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what the exporter says of its own steps."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
