"""Many numbers as one short string: keeps the values of every person in a JSON file, exactly.

Takes and gives a one-dimensional float64 array. Small where few values are different, as those of a ranking metric are
(one for each rank of the target): 22,363 of them take a few kilobytes.

>>> values = np.array([0.5, 0.0, np.nan, 0.5])
>>> unpack(pack(values))
array([0.5, 0. , nan, 0.5])
"""

from __future__ import annotations

import base64
import binascii
import struct
import zlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tasteline.errors import InvalidInput

VERSION = "f64.1"
"""Before the colon. Then, in base64 of zlib: how many values and how many different ones (two little-endian uint64),
the different ones (float64), and for each value its place among them (unsigned, of the fewest bytes that hold it)."""
_HEAD = struct.Struct("<QQ")


def pack(values: ArrayLike) -> str:
    """`values` (n,) as an ASCII string; every bit of a float64 is kept, NaN, -0.0 and infinities included.

    Raises ValueError for an array that is not one-dimensional.
    """
    array = np.ascontiguousarray(values, dtype="<f8")
    if np.ndim(values) != 1:
        raise ValueError(f"the values have {np.ndim(values)} dimensions; one is needed")
    distinct, places = np.unique(array.view("<u8"), return_inverse=True)  # as bits: NaN equals itself, 0.0 is not -0.0
    content = (
        _HEAD.pack(len(array), len(distinct)) + distinct.tobytes() + places.astype(_places(len(distinct))).tobytes()
    )
    return f"{VERSION}:{base64.b64encode(zlib.compress(content, 9)).decode()}"


def unpack(text: str) -> NDArray[np.float64]:
    """The array that `pack` was given. Raises InvalidInput for another version and for a damaged string.

    >>> unpack("f64.1:damaged")
    Traceback (most recent call last):
    tasteline.errors.InvalidInput: packed values are damaged: ...
    """
    version, _, body = text.partition(":")
    if version != VERSION:
        raise InvalidInput(f"packed values begin with {version[:20]!r}; {VERSION!r} can be read")
    try:
        content = zlib.decompress(base64.b64decode(body, validate=True))
        count, different = _HEAD.unpack_from(content)
        end = _HEAD.size + 8 * different
        distinct = np.frombuffer(content[_HEAD.size : end], dtype="<u8")
        places = np.frombuffer(content[end:], dtype=_places(different))
        if len(distinct) != different or len(places) != count:
            raise InvalidInput(f"packed values are damaged: {len(places)} of {count} are there")
        return distinct[places].view(np.float64).copy()
    except (binascii.Error, zlib.error, struct.error, ValueError, IndexError) as error:
        raise InvalidInput(f"packed values are damaged: {error}") from error


def _places(different: int) -> np.dtype[np.unsignedinteger]:
    return np.dtype("<u1" if different <= 2**8 else "<u2" if different <= 2**16 else "<u4")
