"""The one error of `einmix`, in the manner of einops: what was written, where it fails, what to write instead."""


class PatternError(ValueError):
    """A pattern, a mixer's text or an architecture that does not mean anything.

    `str(error)` has up to three lines: the fact with the text, the text again, and a caret under the offending token
    with a hint; `error.summary` says the same in one line.
    """

    def __init__(self, fact: str, *, text: str = "", token: tuple[int, int] | None = None, hint: str = ""):
        self.summary = f"{fact} ({hint})" if hint else fact
        lines = [fact]
        if token is not None:
            start, end = token
            text = "".join(c if c.isprintable() else " " for c in text)
            lines += [f"  {text}", "  " + " " * start + "^" * max(end - start, 1) + (f" {hint}" if hint else "")]
        elif hint:
            lines.append(f"  {hint}")
        super().__init__("\n".join(lines))


def shown(value: object) -> str:
    """A value as it stands in messages: no longer than a line, whatever was passed."""
    try:
        return repr(value)[:80]
    except ValueError:  # Python refuses to write integers of thousands of digits
        return f"{type(value).__name__} of too many digits"


def wrong(text: str, token: tuple[int, int], fact: str, hint: str) -> PatternError:
    """The error at a token of a text, which stands in the fact if it does not already."""
    return PatternError(fact if repr(text) in fact else f"{fact}: {text!r}", text=text, token=token, hint=hint)
