"""A skeleton: named points in an order, and what each is made of on a body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Skeleton:
    """An ordered set of named points.

    ``points`` maps each name to its source ``{joint or landmark: weight}``; weights sum to one.
    ``edges`` are the pairs of names to draw a line between.
    """

    name: str
    points: Mapping[str, Mapping[str, float]] = field(repr=False)
    edges: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        return len(self.points)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names in order."""
        return tuple(self.points)

    def index(self, name: str) -> int:
        """Position of the point called ``name``; raises ValueError with the known names."""
        try:
            return self.names.index(name)
        except ValueError:
            known = ", ".join(self.names)
            raise ValueError(f"{self.name} has no point {name!r}; it has {known}") from None

    def indices(self, *names: str) -> list[int]:
        """Positions of several points."""
        return [self.index(name) for name in names]

    @cached_property
    def flip_permutation(self) -> np.ndarray:
        """``points[flip_permutation]`` exchanges left and right; an involution."""
        return np.array([self.index(mirrored_name(name)) for name in self.names])

    @cached_property
    def edge_indices(self) -> np.ndarray:
        """``edges`` as positions, (E, 2)."""
        return np.array([self.indices(*edge) for edge in self.edges], dtype=np.int64).reshape(-1, 2)


def mirrored_name(name: str) -> str:
    """The same point on the other side: ``left_knee`` -> ``right_knee``, ``nose`` -> ``nose``."""
    swap = {"left": "right", "right": "left"}
    return "_".join(swap.get(word, word) for word in name.split("_"))
