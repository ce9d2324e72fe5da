"""The zoo: networks of the literature as points of the space, at their published sizes and at any other."""

from search_spaces.blocks.parts import Inputs
from search_spaces.errors import SpaceError, known
from search_spaces.zoo import (
    axial_shift,
    convmixer,
    cycle,
    fnet,
    gmlp,
    hire,
    maxim,
    mixer,
    monarch,
    raft,
    resmlp,
    s2mlp,
    smlp,
    vip,
)
from search_spaces.zoo.member import IMAGENET, Member

ZOO: dict[str, Member] = {
    each.name: each
    for each in (
        mixer.MEMBER,
        resmlp.MEMBER,
        resmlp.TUTORIAL,
        gmlp.MEMBER,
        convmixer.MEMBER,
        vip.MEMBER,
        vip.SUM,
        vip.DYNAMIXER,
        s2mlp.MEMBER,
        fnet.MEMBER,
        monarch.MEMBER,
        raft.MEMBER,
        smlp.MEMBER,
        hire.MEMBER,
        cycle.MEMBER,
        axial_shift.MEMBER,
        maxim.MEMBER,
    )
}
"""All members by name."""


def member(name: str) -> Member:
    """A member by its name. Raises SpaceError for an unknown one."""
    if name in ZOO:
        return ZOO[name]
    raise SpaceError(f"no network {name!r} in the zoo: {known(name, ZOO)}")


__all__ = ["IMAGENET", "ZOO", "Inputs", "Member", "member"]
