"""What a mixer is: the role algebra, architectures as data, and their text.

>>> from einmix import Mixer
>>> Mixer.parse("h=m4.s2 w=m4.s2 c=g32") <= Mixer.parse("h=m8 w=m8 c=m32")
True
"""

from einmix.algebra.factor_sets import FactorSet, count_factorizations
from einmix.algebra.factors import Factor
from einmix.algebra.mixer import Mixer, enumerate_mixers, sample_mixer
from einmix.errors import PatternError
from einmix.networks.architecture import Architecture, Block, Stage
from einmix.networks.notation import read_nodes
from einmix.networks.source import build, source
from einmix.networks.summary import describe
from einmix.nodes.node import Node, Sequence

__all__ = [
    "Architecture",
    "Block",
    "Factor",
    "FactorSet",
    "Mixer",
    "Node",
    "PatternError",
    "Sequence",
    "Stage",
    "build",
    "count_factorizations",
    "describe",
    "enumerate_mixers",
    "read_nodes",
    "sample_mixer",
    "source",
]


def _mixer_svg(mixer: Mixer) -> str:
    """The mixer drawn, as notebooks show it."""
    from einmix.pictures.mixer import draw_mixer

    return draw_mixer(mixer).svg


def _architecture_html(architecture: Architecture) -> str:
    """The network drawn, as notebooks show it."""
    from einmix.pictures.network import draw_network

    return draw_network(architecture).svg


Mixer._repr_svg_ = _mixer_svg  # type: ignore[attr-defined]  # here, since the rooms of both know of no pictures
Architecture._repr_html_ = _architecture_html  # type: ignore[attr-defined]
