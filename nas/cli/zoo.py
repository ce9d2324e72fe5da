"""`nas zoo`: networks of the literature, listed, shown and exported."""

from __future__ import annotations

from itertools import groupby, zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from nas.cli.terminal import As, AsJson, Out, console_for, print_json, proven, typed, written
from nas.cli.typed import takes
from nas.errors import NasError
from nas.options.zoo import Zoo

if TYPE_CHECKING:
    from einmix import Architecture
    from search_spaces.zoo import Member


class ShowByName(TyperGroup):
    """A group of commands whose last resort is `show`: `nas zoo mixer` is `nas zoo show mixer`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        return super().resolve_command(ctx, args if args[0] in self.commands else ["show", *args])


app = typer.Typer(cls=ShowByName, rich_markup_mode=None)

NAME = "A network, as in mixer, or one of its published sizes, as in mixer:s/16."
Name = Annotated[str, typer.Argument(metavar="NAME[:SIZE]", help=NAME)]


@app.callback(invoke_without_command=True)
def listing(context: typer.Context, as_json: AsJson = False) -> None:
    """Networks of the literature: list them, show one as a module, export it.

    Published sizes are for images of 224 x 224 and 1,000 classes. `nas zoo NAME` is `nas zoo show NAME`.

    Example: nas zoo mixer:s/16
    """
    if context.invoked_subcommand is not None:
        return
    from search_spaces.zoo import ZOO

    rows = [
        _row(each, variant, each.published(variant) if variant else None)
        for each in ZOO.values()
        for variant in each.variants or [None]
    ]
    if as_json:
        for row in rows:
            print_json(row)
    else:
        _print_list(rows)


@app.command()
@takes(Zoo)
def show(asked: Zoo, name: Name, as_json: AsJson = False) -> None:
    """One network as a module, with its numbers.

    Example: nas zoo show vip --shape 32x32x3 --width 32
    """
    from einmix import source
    from nas.api.zoo import find

    network = find(name, asked)
    if as_json:
        row = _row(network.member, network.variant, network.architecture)
        print_json(row | {"id": network.architecture.id, "text": source(network.architecture, network.facts)})
    else:
        print(source(network.architecture, network.facts), end="")


@app.command()
@takes(Zoo)
def export(asked: Zoo, name: Name, format: As = "module", out: Out = Path("exported")) -> None:
    """Write one network as a file that stands alone: a module needs torch and einops, other formats an extra each.

    Example: nas zoo export mixer:s/16 -o networks
    """
    from nas.api.zoo import find
    from nas.exports import write_checked
    from nas.exports.check import Export

    network = find(name, asked)
    wanted = Export(network.architecture, network.stem, network.facts | {"exported by": typed()})
    (exported,) = write_checked([wanted], out, format)
    print(f"{written(exported)}: {network.architecture.params:,} parameters, {proven(exported, format)}")


@app.command()
@takes(Zoo)
def load(
    asked: Zoo,
    name: Name,
    source: Annotated[Path, typer.Option("--from", metavar="FILE", help="Weights of timm's network, as safetensors.")],
    format: As = "module",
    out: Out = Path("exported"),
) -> None:
    """Put pretrained weights of timm's mixer, resmlp, gmlp or convmixer into ours, and write it with them.

    The number of classes is that of the weights.

    Example: nas zoo load mixer:b/16 --from mixer_b16_224.safetensors
    """
    from nas.api.zoo import find
    from nas.exports import write_checked
    from nas.exports.check import Export
    from nas.exports.pretrained import put
    from search_spaces.zoo import ZOO

    network = find(name, asked)
    names = network.member.timm
    if names is None:
        known = ", ".join(each.name for each in ZOO.values() if each.timm)
        raise NasError(f"no weights of timm's are known for {network.member.name}: they are for {known}")
    table = names.table(len(network.architecture.stages[0].blocks))
    with TemporaryDirectory(prefix="nas-load-") as folder:
        weights = Path(folder, "weights")
        architecture = put(network.architecture, table, source, weights)
        facts = network.facts | {"weights": f"those of {source.name}", "exported by": typed()}
        (exported,) = write_checked([Export(architecture, network.stem, facts, weights)], out, format)
    print(f"{written(exported)}: {architecture.params:,} parameters, {proven(exported, format)}")


def _row(found: Member, variant: str | None, architecture: Architecture | None) -> dict[str, Any]:
    """A line of the list; without an architecture the numbers are null."""
    return {
        "name": found.name,
        "variant": variant,
        "params": architecture and architecture.params,
        "macs": architecture and architecture.macs,
        "summary": found.summary,
        "source": found.source,
    }


def _print_list(rows: list[dict[str, Any]]) -> None:
    from nas.cli.grid import Column, Grid
    from nas.ranking.words import short

    lines = []
    for name, same in groupby(rows, key=lambda row: row["name"]):
        members = list(same)
        words = members[0]["summary"], members[0]["source"]
        for row, text, title in zip_longest(members, words, [name], fillvalue=None):
            numbers = [short(row[cost]) if row and row[cost] else "" for cost in ("params", "macs")]
            variant = row["variant"] if row else None
            lines.append((title or "", variant or "", *numbers, text or ""))
    names, variants, params, macs, texts = zip(*lines, strict=True)
    columns = [
        Column("name", names, left=True),
        Column("size", variants, left=True),
        Column("params", params),
        Column("MACs", macs, goes=1),
        Column("what it does, and where it is from", texts, words=True),
    ]
    console_for().print(Grid(columns))
    print("Published sizes are for 224 x 224 images and 1,000 classes; any other: nas zoo show NAME --data D --width W")
