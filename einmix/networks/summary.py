"""Networks, blocks and branches in words, for tables, comments and names."""

from __future__ import annotations

from itertools import groupby

from einmix.algebra.mixer import Mixer
from einmix.kinds import Mix
from einmix.networks.architecture import Architecture
from einmix.nodes.node import Step


def mixers(architecture: Architecture) -> str:
    """What the blocks mix with, in short, runs of equal ones counted."""
    runs = [(text, len(list(same))) for text, same in groupby(filter(None, map(block_words, blocks(architecture))))]
    return " | ".join(text if times == 1 else f"{times} x {text}" for text, times in runs) or "none"


def blocks(architecture: Architecture) -> list[tuple[Step, ...]]:
    """The nodes of the blocks, in order."""
    return [part.steps for part in architecture.parts if part.role == "block"]


def block_mixers(block: tuple[Step, ...]) -> list[Mixer]:
    """The mixers of a block that mix positions, or its only one whatever it does."""
    found = [leaf.node.mixer for step in block for leaf in step.leaves() if isinstance(leaf.node, Mix)]
    return [mixer for mixer in found if mixer.mixed - {"c"} or len(found) == 1]


def block_words(block: tuple[Step, ...], *, bias: bool = False) -> str:
    """What is special about a block: its gates and branches, what moves positions; not norms and channel MLPs."""
    words, mixers = [], block_mixers(block)
    for node in (step.node for each in block for step in each.walk()):
        if isinstance(node, Mix):
            text = str(node.mixer)
            words += [text if bias else text.removesuffix(" +b")] if node.mixer in mixers else []
        elif not node.plain:
            words.append(node.text.partition(";")[0])
    return " ".join(words)


def job(branch: Step) -> tuple[str, str]:
    """What a branch does: a name for a function that makes it, and words for its docstring."""
    ideas = dict(step.node.job for step in branch.walk() if all(step.node.job))
    if not ideas and _is_mlp(branch):
        ideas = {"token_mlp": "by an MLP"}
    if branch.touched - {"c"}:
        what, words = "tokens", "Mix positions"
    elif branch.touched:
        what, words = "channels", "Mix channels at every position"
    else:
        what, words = "unmixed", "Mix nothing"
    names = list(ideas)[:2]
    if names and what != "tokens":
        names.append(what)
    return "_".join(names or [what]), ", ".join([words, *ideas.values()])


def _is_mlp(branch: Step) -> bool:
    """Whether positions are mixed before and after an activation."""
    found = ""
    for leaf in branch.leaves():
        if leaf.node.activates:
            found += "a"
        elif isinstance(leaf.node, Mix) and leaf.touched - {"c"}:
            found += "m"
    return "mam" in found
