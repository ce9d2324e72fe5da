"""Limits on the size of a network, and uniform proposals of networks within them."""

from dataclasses import dataclass

from search_spaces.blocks.letters import Bounds
from search_spaces.errors import SpaceError


@dataclass(frozen=True)
class Budget:
    """Limits on parameters and on multiply-accumulates an image, both ends included. Raises SpaceError if empty."""

    min_params: int = 0
    max_params: int | None = None
    max_macs: int | None = None

    def __post_init__(self) -> None:
        if self.max_params is not None and self.max_params < self.min_params:
            raise SpaceError(f"no network has {self}")

    def admits(self, params: int, macs: int) -> bool:
        return (
            params >= self.min_params
            and (self.max_params is None or params <= self.max_params)
            and (self.max_macs is None or macs <= self.max_macs)
        )

    def meets(self, bounds: Bounds) -> bool:
        """Whether parameters and multiply-accumulates, each alone, can be within the limits."""
        least, most, fewest, _ = bounds
        return most >= self.min_params and self.admits(max(least, self.min_params), fewest)

    def holds(self, bounds: Bounds) -> bool:
        """Whether all that lies within these bounds is within the limits."""
        least, most, fewest, largest = bounds
        return self.admits(least, fewest) and self.admits(most, largest)

    def __str__(self) -> str:
        params = f"at least {self.min_params:,}"
        if self.max_params is not None:
            params = f"{self.min_params:,} to {self.max_params:,}"
        return f"{params} parameters" + (f", at most {self.max_macs:,} MACs" if self.max_macs is not None else "")
