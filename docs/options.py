"""Writes docs/options.md from the fields of nas/options: `python docs/options.py`."""

from pathlib import Path

from nas.options import OPTIONS, Options
from nas.options.option import declared, flag

PAGE = Path(__file__).with_suffix(".md")
HEAD = """# Options

Written by `python docs/options.py` from the fields of `nas/options`, which are also the command line, the checks and
what run.json keeps; a test compares. From Python an option is called as its field: `--max-params` is `max_params`.

*In a run* says what becomes of an option in run.json: **what** is a part of what the run is, and cannot change when it
goes on; **how** may change; the others stand there as what they became: in the *recipe*, the *budget*, the *space*…
"""


def written() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(section(command, options) for command, options in OPTIONS.items())])


def section(command: str, options: type[Options]) -> str:
    """The options of one command."""
    lines = [f"## `nas {command}`\n", f"`nas.options.{options.__name__}`\n"]
    lines += ["| option | default | expected | in a run | |", "|---|---|---|---|---|"]
    for name, (_, option) in declared(options).items():
        default, limits = shown(getattr(options, name)), option.limits
        typed = f"`{flag(name)}`" + f", `--no-{flag(name)[2:]}`" * (default == "True")
        if option.help:
            lines.append(f"| {typed} | {default} | {limits} | {option.run or ''} | {option.help} |")
    return "\n".join(lines) + "\n"


def shown(default: object) -> str:
    """A default; none, where it is left to the data, the run or the machine."""
    if default is None or default is False:
        return ""
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default)


if __name__ == "__main__":
    PAGE.write_text(written(), encoding="utf-8")
