"""Which examples a training was right on, a bit each, as text for a JSON line."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def packed(right: np.ndarray) -> str:
    """Base64 of a bit an example, in the order of the part; the last byte is filled with zeros.

    >>> import numpy
    >>> packed(numpy.array([True, False, True]))
    'oA=='
    """
    import numpy as np

    return base64.b64encode(np.packbits(right).tobytes()).decode()


def unpacked(text: str, examples: int, accuracy: float) -> np.ndarray:
    """The bits of so many examples. Raises ValueError for any other number, or where they are not of this accuracy.

    >>> unpacked("oA==", 3, 2 / 3).tolist()
    [True, False, True]
    """
    import numpy as np

    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("bits of examples that are not base64") from None
    bits = np.unpackbits(np.frombuffer(data, np.uint8)).astype(bool)
    if len(data) != -(-examples // 8) or bits[examples:].any():
        raise ValueError(f"bits of {len(bits)} examples or fewer, not of {examples}")
    right = bits[:examples]
    if abs(right.sum() - accuracy * examples) > 1e-3:
        raise ValueError(f"{right.sum()} of {examples} examples are right, which is no accuracy of {accuracy:g}")
    return right
