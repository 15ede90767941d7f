"""Shortest decimal digits of 16-bit floating-point numbers, for which Arrow has no conversion."""

import math
import struct
from functools import lru_cache

import pyarrow as pa

_MOST_DIGITS = 6
_LARGEST = 65504.0


def shortest_of_halves(column: pa.Array) -> pa.Array:
    """Return doubles: whole numbers as they are, of others those with the fewest digits that give the same half."""
    encoded = column.view(pa.int16()).dictionary_encode()
    return pa.array(map(_shortest, encoded.dictionary.to_pylist()), pa.float64()).take(encoded.indices)


@lru_cache(maxsize=1 << 16)
def _shortest(bits: int) -> float:
    number: float
    (number,) = struct.unpack("<e", struct.pack("<h", bits))
    if not math.isfinite(number) or number.is_integer():
        return number  # The fewest digits for 16384 would be those of 16380.
    # Of two as near, the even one; at a power of two only the one further from zero may be near enough.
    beyond = math.nextafter(number, math.copysign(math.inf, number))
    near = (float(f"{each:.{digits}e}") for digits in range(_MOST_DIGITS) for each in (number, beyond))
    return next(found for found in near if abs(found) <= _LARGEST and _bits_of(found) == bits)


def _bits_of(number: float) -> int:
    bits: int = struct.unpack("<h", struct.pack("<e", number))[0]
    return bits
