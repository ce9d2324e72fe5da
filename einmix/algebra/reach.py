"""Reach: which inputs of a chain or a sum of mixers can influence which outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import prod
from operator import or_
from typing import TYPE_CHECKING

from einmix.algebra.factors import Axes, Factors, written
from einmix.algebra.order import support
from einmix.errors import PatternError

if TYPE_CHECKING:  # numpy takes longer to load than all of einmix
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.bool_]
    Term = tuple[tuple[str, Matrix], ...]


Inputs = Sequence[int | Iterable[int]]
"""For every output along an axis the input that reaches it, or those that do."""


@dataclass(frozen=True, eq=False)
class Reach:
    """A union of products: each term has one boolean matrix (outputs x inputs) an axis.

    Along a chain the terms compose axis by axis; a sum of branches is the union of its branches' terms, which is less
    than the product of the axes' unions: rows plus columns do not reach the whole grid.

    >>> from einmix import Mixer
    >>> rows, columns = Mixer.parse("h=s4 w=m4").reach(), Mixer.parse("h=m4 w=s4").reach()
    >>> int((rows | columns).matrix().sum()), int(rows.then(columns).matrix().sum())
    (112, 256)
    """

    terms: tuple[Term, ...]

    @classmethod
    def of(cls, axes: Axes) -> Reach:
        """The reach of one mixer."""
        return cls((tuple((name, _matrix(factors)) for name, factors in axes),))

    @classmethod
    def linked(cls, sizes: Mapping[str, int], inputs: Mapping[str, Inputs] | None = None) -> Reach:
        """From features of these sizes by the `inputs` of every output along an axis; along others each by itself.

        >>> Reach.linked({"h": 3, "c": 2}, {"h": [1, (0, 2), ()]}).along("h").astype(int).tolist()
        [[0, 1, 0], [1, 0, 1], [0, 0, 0]]
        """
        return cls((tuple((axis, _linked(n, (inputs or {}).get(axis, range(n)))) for axis, n in sizes.items()),))

    @classmethod
    def full(cls, sizes: Mapping[str, int], *axes: str) -> Reach:
        """Everything reaches everything along `axes`, nothing else along the others (LayerNorm, pooling)."""
        return cls.linked(sizes, {axis: [range(sizes[axis])] * sizes[axis] for axis in axes})

    @property
    def inputs(self) -> dict[str, int]:
        return {name: matrix.shape[1] for name, matrix in self.terms[0]}

    @property
    def outputs(self) -> dict[str, int]:
        return {name: matrix.shape[0] for name, matrix in self.terms[0]}

    def then(self, after: Reach) -> Reach:
        """What is reached through this and then through `after`. Raises PatternError where sizes do not meet."""
        if self.outputs != after.inputs:
            raise PatternError(f"a layer gives {written(self.outputs)} and the next takes {written(after.inputs)}")
        return Reach(
            _without_covered(
                tuple((name, _product(second, first)) for (name, first), (_, second) in zip(term, other, strict=True))
                for term in self.terms
                for other in after.terms
            )
        )

    def __or__(self, other: Reach) -> Reach:
        """What is reached through either of two branches that are summed."""
        if self.inputs != other.inputs or self.outputs != other.outputs:
            ours, theirs = (f"{written(reach.outputs)} from {written(reach.inputs)}" for reach in (self, other))
            raise PatternError(f"branches of a sum differ: {ours} and {theirs}")
        return Reach(_without_covered([*self.terms, *other.terms]))

    def matrix(self) -> Matrix:
        """The joint boolean matrix, outputs x inputs, over all axes flattened in their order."""
        import numpy as np

        return reduce(or_, (reduce(np.kron, (matrix for _, matrix in term)) for term in self.terms))

    def along(self, axis: str) -> Matrix:
        """Which positions of this axis reach which, whatever happens on the others (outputs x inputs)."""
        # a term is a product: where one axis has nothing all have (no channels move)
        return reduce(or_, (dict(term)[axis] & all(matrix.any() for _, matrix in term) for term in self.terms))


def _linked(n: int, inputs: Inputs) -> Matrix:
    import numpy as np

    matrix = np.zeros((len(inputs), n), dtype=bool)
    for row, each in zip(matrix, inputs, strict=True):
        if isinstance(each, range) and each.step == 1:
            row[each.start : each.stop] = True
        else:
            row[each if isinstance(each, int) else list(each)] = True
    return matrix


def _matrix(factors: Factors) -> Matrix:
    import numpy as np

    rows, columns = support(factors)
    matrix = np.zeros((prod(f.out for f in factors), prod(f.size for f in factors)), dtype=bool)
    matrix[rows, columns] = True
    return matrix


def _product(second: Matrix, first: Matrix) -> Matrix:
    """Of booleans, exactly: counts in floats, for which NumPy has BLAS, are nothing or more than that."""
    if second.size * first.shape[1] < 2**20:
        return second @ first
    counts: Matrix = second.astype("float32") @ first.astype("float32") > 0
    return counts


def _without_covered(terms: Iterable[Term]) -> tuple[Term, ...]:
    """Terms that no other term contains on every axis."""
    kept: list[Term] = []
    for term in terms:
        if any(_covers(other, term) for other in kept):
            continue
        kept = [other for other in kept if not _covers(term, other)] + [term]
    return tuple(kept)


def _covers(a: Term, b: Term) -> bool:
    return all((larger | ~smaller).all() for (_, larger), (_, smaller) in zip(a, b, strict=True))
