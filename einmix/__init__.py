"""What a mixer is: the role algebra, architectures as data, and their text.

>>> from einmix import Mixer
>>> Mixer.parse("h=m4.s2 w=m4.s2 c=g32") <= Mixer.parse("h=m8 w=m8 c=m32")
True
"""

from einmix.architecture import Architecture, Block, Stage
from einmix.errors import PatternError
from einmix.factors import Factor, FactorSet, count_factorizations
from einmix.mixer import Layout, Mixer, enumerate_mixers, sample_mixer
from einmix.nodes import (
    Activation,
    Concat,
    Conv,
    Drop,
    Dynamic,
    Gate,
    Linear,
    Mix,
    Node,
    Norm,
    Residual,
    Reweight,
    Sequence,
    Shift,
    Shuffle,
    Split,
    Sum,
    Unfold,
    Wrap,
)
from einmix.order import redundant
from einmix.pattern import read_nodes
from einmix.source import build, source
from einmix.words import describe

__all__ = [
    "Activation",
    "Architecture",
    "Block",
    "Concat",
    "Conv",
    "Drop",
    "Dynamic",
    "Factor",
    "FactorSet",
    "Gate",
    "Layout",
    "Linear",
    "Mix",
    "Mixer",
    "Node",
    "Norm",
    "PatternError",
    "Residual",
    "Reweight",
    "Sequence",
    "Shift",
    "Shuffle",
    "Split",
    "Stage",
    "Sum",
    "Unfold",
    "Wrap",
    "build",
    "count_factorizations",
    "describe",
    "enumerate_mixers",
    "read_nodes",
    "redundant",
    "sample_mixer",
    "source",
]
