"""Frameworks other than torch that a network can be written for: their words for its calls, a file each."""

from einmix.frameworks.flax import FLAX
from einmix.frameworks.keras import KERAS
from einmix.networks.framework import Framework

FRAMEWORKS: dict[str, Framework] = {"flax": FLAX, "keras": KERAS}
