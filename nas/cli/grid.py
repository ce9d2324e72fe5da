"""Tables for a terminal of any width, in which every figure is shown whole."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from nas.errors import one_line

BETWEEN = 3
"""Characters between two columns."""

NAME = 14
"""Characters of a column's name, above which it is left out where rows are stacked: figures need the room."""

LONGEST = 40
"""Characters of a word that is never broken; one from a foreign file could be of any length."""


@dataclass(frozen=True)
class Column:
    """A column by its cells: `words` may be broken between two of them (`least` characters wide), figures never.

    Where a table is too wide its columns go, that with the least `goes` first; with 0 a column never does.
    """

    name: str
    cells: Sequence[str]
    words: bool = False
    left: bool = False
    goes: int = 0
    least: int = 0

    @property
    def width(self) -> int:
        """The least width that shows it, in characters."""
        if not self.words:
            return max(map(cell_len, [self.name, *self.cells]))
        pieces = {piece for cell in self.cells for piece in cell.split()}
        return max([cell_len(self.name), self.least, *(min(cell_len(piece), LONGEST) for piece in pieces)])

    @property
    def natural(self) -> int:
        """The width that breaks nothing."""
        return max(self.width, *map(cell_len, self.cells), 0)


@dataclass(frozen=True)
class Grid:
    """A table that fits: columns go, as is said below it, and where that is not enough its rows are stacked.

    `dim` are the rows that stand back, `ends` those after which a new section begins. The lines of `below` tell of a
    column that is not in the table.
    """

    columns: Sequence[Column]
    title: str = ""
    dim: Collection[int] = ()
    ends: Collection[int] = ()
    below: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def fitting(self, width: int) -> list[Column] | None:
        """The columns that fit into so many characters; None where those that never go don't."""
        kept = list(self.columns)
        while _width(kept) > width:
            going = [column for column in kept if column.goes]
            if not going:
                return None
            kept.remove(min(going, key=lambda column: column.goes))
        return kept

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.title:
            yield Text(one_line(self.title))
        kept = self.fitting(options.max_width)
        yield self._stacked() if kept is None else self._table(kept, options.max_width)
        shown = [] if kept is None else [column.name for column in kept]
        yield from (Text(line) for name, lines in self.below.items() if name not in shown for line in lines)
        left_out = [column.name for column in self.columns if column.name not in {*shown, *self.below}]
        if left_out and kept is not None:
            yield Text(f"  left out in {options.max_width} columns: {', '.join(left_out)}", style="dim")

    def _table(self, columns: Sequence[Column], width: int) -> Table:
        table, spare = Table(box=box.SIMPLE_HEAD, pad_edge=False), width - _width(columns)
        for column in columns:
            more = min(spare, column.natural - column.width)
            spare -= more
            table.add_column(
                column.name,
                justify="left" if column.words or column.left else "right",
                no_wrap=not column.words,
                width=column.width + more,
                overflow="fold",
            )
        for number, cells in enumerate(zip(*(column.cells for column in columns), strict=True)):
            style = "dim" if number in self.dim else None
            table.add_row(*map(Text, cells), style=style, end_section=number in self.ends)
        return table

    def _stacked(self) -> Table:
        """A line a figure, an empty one between two rows."""
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for number in range(len(self.columns[0].cells)):
            style = "dim" if number in self.dim else None
            for column in self.columns:
                if column.cells[number] and column.name not in self.below:
                    name = column.name if cell_len(column.name) <= NAME else ""
                    table.add_row(Text(name), Text(column.cells[number]), style=style)
            table.add_row()
        return table


def _width(columns: Sequence[Column]) -> int:
    """Of a table, when its words are broken where they can be."""
    return sum(column.width + BETWEEN for column in columns) - 1
