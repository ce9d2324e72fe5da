"""How shapes look on light and on dark paper: each look is a word, a fill or a stroke and two colours."""

from typing import Literal, NamedTuple

Theme = Literal["auto", "light", "dark"]

SANS = "'Helvetica Neue',Helvetica,Arial,'Liberation Sans',sans-serif"
MONO = "ui-monospace,SFMono-Regular,Menlo,Consolas,'Liberation Mono','DejaVu Sans Mono',monospace"


class Look(NamedTuple):
    """Colours on light and on dark paper; an empty one paints nothing."""

    fill: tuple[str, str] = ("", "")
    stroke: tuple[str, str] = ("", "")

    def on(self, theme: str) -> tuple[str, str]:
        """Fill and stroke on the paper of a theme that is not auto."""
        dark = theme == "dark"
        return self.fill[dark], self.stroke[dark]


INK, MUTED, READ, ON_READ = ("#1a1d21", "#e9ebee"), ("#59616c", "#a6afba"), ("#1b4f9c", "#86bdff"), ("#ffffff", "#0a1626")
PAPER, EDGE, CARD = ("#ffffff", "#14171a"), ("#c3c9d1", "#4a525d"), ("#d4d4d4", "#484848")

TINTS = (
    ("#f8ca8b", "#76531b"),
    ("#c4ecd9", "#245240"),
    ("#dcc0ea", "#60426e"),
    ("#f8f0a9", "#6c652f"),
    ("#f5ac9a", "#7f4132"),
    ("#bae5fd", "#275368"),
    ("#d4d4d4", "#484848"),
    ("#eedacb", "#5f4f42"),
)
"""For sets; neighbours in this list are told apart by everybody, and letters say the rest."""

SHADES = (
    ("#1b4f9c", "#86bdff"),
    ("#5b8dd6", "#4e81c0"),
    ("#8db3e5", "#3d6aa3"),
    ("#b3cef0", "#315583"),
    ("#cfdff5", "#274467"),
    ("#e6eef9", "#1f344e"),
)
"""For steps of a receptive field, the first reached first; the last for all further ones."""

LOOKS: dict[str, Look] = {
    "ink": Look(fill=INK),
    "muted": Look(fill=MUTED),
    "read": Look(fill=READ),
    "onread": Look(fill=ON_READ),
    "paper": Look(fill=PAPER),
    "plain": Look(fill=PAPER, stroke=EDGE),
    "card": Look(fill=CARD),
    "edge": Look(stroke=EDGE),
    "stroke": Look(stroke=INK),
    "onreadstroke": Look(stroke=ON_READ),
    "readstroke": Look(stroke=READ),
    "mutedstroke": Look(stroke=MUTED),
    **{f"tint{number}": Look(fill=tint) for number, tint in enumerate(TINTS)},
    **{f"tintstroke{number}": Look(stroke=tint) for number, tint in enumerate(TINTS)},
    **{f"shade{number}": Look(fill=shade) for number, shade in enumerate(SHADES)},
}
"""By name; in SVG a class of the name with `em-` before it, which a page may colour by rules of its own."""


def style(used: set[str], theme: Theme) -> str:
    """The rules of these looks: both papers and the reader's choice between them, or those of one."""
    names = [name for name in LOOKS if name in used]
    if theme != "auto":
        return _rules(names, theme)
    return f"{_rules(names, 'light')}@media (prefers-color-scheme:dark){{{_rules(names, 'dark')}}}"


def _rules(names: list[str], theme: str) -> str:
    found = []
    for name in names:
        fill, stroke = LOOKS[name].on(theme)
        found.append(f".em-{name}{{fill:{fill or 'none'}" + f";stroke:{stroke}" * bool(stroke) + "}")
    return "".join(found)
