"""Generates data sets from a fixed seed: one-dimensional digits and three-dimensional solids, both synthetic."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import pi

import numpy as np

from nas.data.sources import Arrays, Source, compact

SEQUENCES = 5_000  # of which the last fifth is the test part

MARGINS = 36, 60  # zeros after a curve of 12 samples: at least, at most

LENGTH = 40  # positions of a finished sequence

CURVES = np.array(
    [
        [5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5],
        [5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5],
        [5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5],
        [5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5],
        [5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5],
        [5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5],
        [5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5],
        [5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5],
        [5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5],
        [5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5],
    ]
)
"""The ten digits as strokes over time, as published with MNIST-1D."""


def mnist1d() -> Source:
    """MNIST-1D: sequences `n c=1 t=40` of ten digits drawn as curves, 4,000 to train and 1,000 to test with.

    Each curve is stretched, scaled, moved along a longer line of correlated noise, tilted and sampled at 40 positions.
    Curves, constants and the order of random numbers are those of the authors' generator with its own seed, so the
    arrays are those of its `make_dataset()` (compared as float64 with version 0.0.2.post1: equal in every bit).

    Source: Greydanus and Kobak, "Scaling Down Deep Learning with MNIST-1D", arXiv 2011.14439;
    https://github.com/greydanus/mnist1d (Apache-2.0).

    >>> mnist1d().train.x.shape
    (4000, 1, 40)
    """
    from scipy.ndimage import gaussian_filter1d

    rng = np.random.RandomState(42)  # its stream never changes, unlike that of default_rng
    curves = CURVES - CURVES.mean(1, keepdims=True)
    curves /= curves.std(1, keepdims=True)
    curves = (curves - curves[:, :1]) / 6  # from 0 to 0
    y = np.repeat(np.arange(10), SEQUENCES // 10)
    shortest, longest = (CURVES.shape[1] + margin for margin in MARGINS)
    x, scattered, jitter = np.empty((3, SEQUENCES, longest))
    tilts = np.empty(SEQUENCES)
    for row, label in enumerate(y):  # one by one, as the order of the random numbers is part of the data
        line = np.zeros(shortest + int(rng.rand() * (longest - shortest + 1)))
        line[: CURVES.shape[1]] = curves[label] + 1e-8  # where the curve is, nothing is 0
        stretched = _resample(line, longest) * (1 + 0.4 * (rng.rand() - 0.5))
        x[row] = np.roll(stretched, rng.choice(48))
        scattered[row], jitter[row] = rng.randn(2, longest)
        tilts[row] = 0.75 * (rng.rand() - 0.5)
    noise = gaussian_filter1d(0.25 * scattered, 2, axis=1)
    x = np.where(x != 0, x, noise) + 0.02 * jitter - tilts[:, None] * np.linspace(-0.5, 0.5, longest)
    order = rng.permutation(SEQUENCES)
    x, y = np.stack([_resample(row, LENGTH) for row in x[order]]), y[order]
    x = ((x - x.mean()) / x.std())[:, None]
    train, test = (Arrays(compact(x[part]), y[part]) for part in (slice(0, 4_000), slice(4_000, None)))
    return Source("mnist1d", ("t",), train, test=test)


def _resample(line: np.ndarray, length: int) -> np.ndarray:
    """The line (`t`) as this many samples from its first to its last, straight between the old ones."""
    return np.interp(np.linspace(0, 1, length), np.linspace(0, 1, len(line)), line)


@dataclass(frozen=True)
class Solid:
    """A solid around the origin: how far `x`, `y`, `z` are outside of it (less than 0 inside), and its volume.

    `reach` is the radius of the ball around it. Distances may be those to the nearest face's plane.
    """

    distance: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    volume: float
    reach: float = 1.0


def _radius(*coordinates: np.ndarray) -> np.ndarray:
    return np.sqrt(sum(each * each for each in coordinates))


def _largest(*distances: np.ndarray) -> np.ndarray:
    return np.maximum.reduce(distances)


def _cross(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Three bars of width 0.6 and length 2 through one middle: the second largest coordinate is within 0.3."""
    x, y, z = np.abs(x), np.abs(y), np.abs(z)
    middle = np.maximum(np.minimum(x, y), np.minimum(np.maximum(x, y), z))
    return _largest(_largest(x, y, z) - 1, middle - 0.3)


SOLIDS = {
    "ball": Solid(lambda x, y, z: _radius(x, y, z) - 1, 4 / 3 * pi),
    "cube": Solid(lambda x, y, z: _largest(abs(x), abs(y), abs(z)) - 1, 8, 3**0.5),
    "shell": Solid(lambda x, y, z: abs(_radius(x, y, z) - 0.8) - 0.2, 4 / 3 * pi * (1 - 0.6**3)),
    "torus": Solid(lambda x, y, z: _radius(_radius(x, y) - 0.7, z) - 0.3, 2 * pi**2 * 0.7 * 0.3**2),
    "cylinder": Solid(lambda x, y, z: _largest(_radius(x, y) - 0.5, abs(z) - 1), 2 * pi * 0.5**2, 1.25**0.5),
    "cone": Solid(lambda x, y, z: _largest((2 * _radius(x, y) + z - 1) / 5**0.5, -1 - z), 2 / 3 * pi, 2**0.5),
    "cross": Solid(_cross, 3 * 0.6**2 * 2 - 2 * 0.6**3, 1.18**0.5),
    "pair of balls": Solid(lambda x, y, z: _radius(x, y, abs(z) - 0.52) - 0.48, 8 / 3 * pi * 0.48**3),
}
"""The classes of `volumes`, by label."""

SIDE = 16  # voxels along d, h and w

VOLUMES = 300, 75  # of each class, to train and to test with

VOXELS = 160, 400  # that a solid fills, whatever its class: at least, at most

MOVED = 1.5  # voxels from the middle along each axis, at most

TILTED = 0.25  # radians about each axis, at most


def volumes() -> Source:
    """Synthetic volumes `n c=1 d=16 h=16 w=16` (uint8) of eight solids, 2,400 to train and 600 to test with.

    They were made for this project and stand for nothing that was ever measured. A solid varies in size, position and
    orientation, is lighter or darker than what is around it, lies partly behind a flat slab of any direction and under
    noise. How many voxels it fills is drawn alike for all classes, and every class is equally frequent.

    >>> volumes().train.x.shape
    (2400, 1, 16, 16, 16)
    """
    rng = np.random.RandomState(16)
    drawn = [_draw(solid, sum(VOLUMES), rng) for solid in SOLIDS.values()]
    parts = zip(*(np.split(x, [VOLUMES[0]]) for x in drawn), strict=True)
    labels = (np.repeat(np.arange(len(SOLIDS)), count) for count in VOLUMES)
    train, test = (Arrays(np.concatenate(x)[:, None], y) for x, y in zip(parts, labels, strict=True))
    return Source("volumes", ("d", "h", "w"), train, test=test, names=tuple(SOLIDS))


def _draw(solid: Solid, count: int, rng: np.random.RandomState) -> np.ndarray:
    """This many volumes (`n d h w`) of a solid."""
    from scipy.spatial.transform import Rotation

    each = partial(rng.uniform, size=(count, 1))
    grid = np.stack(np.meshgrid(*[np.arange(SIDE) - (SIDE - 1) / 2] * 3, indexing="ij")).reshape(3, -1)
    scale = (np.exp(each(*np.log(VOXELS))) / solid.volume) ** (1 / 3)  # voxels that are 1 to the solid
    centre = rng.uniform(-1, 1, (count, 3)) * np.clip(SIDE / 2 - solid.reach * scale, 0.5, MOVED)
    turn = Rotation.from_rotvec(rng.uniform(-TILTED, TILTED, (count, 3))).as_matrix()
    x, y, z = (turn @ (grid - centre[:, :, None]) / scale[:, :, None]).transpose(1, 0, 2)
    filled = np.clip(0.5 - scale * solid.distance(x, y, z), 0, 1)  # of each voxel
    shade = each(0.2, 0.45) * rng.choice([-1, 1], (count, 1)) * filled
    normal = rng.standard_normal((count, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    slab = abs(normal @ grid - each(-5, 5)) < each(0.5, 1.5)
    shade = np.where(slab, each(-0.3, 0.3), shade) + 0.02 * rng.standard_normal(shade.shape)
    return np.clip(256 * (0.5 + shade), 0, 255).astype(np.uint8).reshape(count, SIDE, SIDE, SIDE)


GENERATED: dict[str, Callable[[], Source]] = {"mnist1d": mnist1d, "volumes": volumes}
"""The data sets that are generated, by name."""
