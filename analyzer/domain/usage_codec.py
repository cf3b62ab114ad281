"""A day of usage in few bytes: each value as four decimal digits in 16 bits, the day compressed.

code = exponent × 10,000 + mantissa, value = mantissa × 10^(exponent − 3). A mantissa below 1,000 stands only with
exponent 0, so that a value has one code: writing what was read changes nothing, however often. A value comes back
within 0.05 % of itself, below 1 within 0.0005; codes are in the order of their values, so that a percentile is within
the same bounds. What was not measured is ABSENT.
"""

import zlib
from collections.abc import Sequence

import numpy as np

EXPONENTS = 6
ABSENT = 0xFFFF
LARGEST = 9_999 * 10.0 ** (EXPONENTS - 4)  # 999,900: a terabit a second, or a terabyte
RELATIVE_ERROR = 0.000_5
ABSOLUTE_ERROR = 0.000_5
_STEPS = 10.0 ** (np.arange(EXPONENTS) - 3)  # the worth of a mantissa's one
_LEVEL = 6


def packed(values: Sequence[float | None]) -> bytes:
    """Raises ValueError for a value below 0 or above LARGEST."""
    told = np.array([np.nan if value is None else value for value in values], dtype=float)
    if (told < 0).any() or (told > LARGEST).any() or np.isinf(told).any():
        raise ValueError(f"values lie in 0 to {LARGEST:g}")
    return zlib.compress(_codes(told).astype("<u2").tobytes(), _LEVEL)


def _codes(told: np.ndarray) -> np.ndarray:
    present = np.isfinite(told)
    values = np.where(present, told, 0.0)
    exponents = np.zeros(len(values), dtype=np.int64)
    for exponent in range(1, EXPONENTS):
        exponents[np.rint(values / _STEPS[exponent - 1]) > 9_999] = exponent
    codes = exponents * 10_000 + np.rint(values / _STEPS[exponents]).astype(np.int64)
    return np.where(present, codes, ABSENT)


def unpacked(data: bytes, count: int) -> list[float | None]:
    """The `count` values that were packed. Raises ValueError for anything else."""
    codes = np.frombuffer(_inflated(data, 2 * count), dtype="<u2").astype(np.int64)
    values = np.round(codes % 10_000 * _STEPS[np.minimum(codes // 10_000, EXPONENTS - 1)], 3)
    return [None if code == ABSENT else value for code, value in zip(codes, values.tolist(), strict=True)]


def _inflated(data: bytes, length: int) -> bytes:
    """No more is inflated than there should be."""
    reader = zlib.decompressobj()
    try:
        found = reader.decompress(bytes(data), length)
    except zlib.error as error:
        raise ValueError(f"a damaged day of usage: {error}") from None
    if len(found) != length:
        raise ValueError(f"a day of usage of {len(found)} bytes instead of {length}")
    return found
