"""Orders that are arithmetic: the same numbers on every machine and in every version of NumPy.

A generator's stream may change between NumPy releases, and its state would have to be saved to resume. An
order that is a pure function of (seed, epoch, stream) needs neither.
"""

import numpy as np
from jaxtyping import Float64, Int64

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15


def permutation(count: int, *, seed: int, epoch: int = 0, stream: int = 0) -> Int64[np.ndarray, " n"]:
    """Return a permutation of `range(count)` that depends only on the arguments.

    Each index gets a key from the SplitMix64 finaliser (Steele, Lea and Flood, "Fast splittable pseudorandom
    number generators", 2014), which is a bijection, so keys never tie; the indices are sorted by key.

    Args:
        count: Number of indices, n.
        seed: Any integer (taken modulo 2^64), as are the next two.
        epoch: A new epoch gives a new order.
        stream: Separates independent uses of one seed, such as several sources.

    Returns:
        The n indices in their new order.

    Example:
        >>> permutation(6, seed=0).tolist() == permutation(6, seed=0).tolist()
        True
        >>> sorted(permutation(6, seed=0, epoch=1).tolist())
        [0, 1, 2, 3, 4, 5]
    """
    return np.argsort(_keys(count, seed, epoch, stream), kind="stable").astype(np.int64)


def uniforms(count: int, *, seed: int, epoch: int = 0, stream: int = 0) -> Float64[np.ndarray, " n"]:
    """Return `count` numbers in [0, 1) that depend only on the arguments, as `permutation` does.

    Example:
        >>> uniforms(2, seed=0).tolist() == uniforms(3, seed=0)[:2].tolist()
        True
    """
    keys = _keys(count, seed, epoch, stream)
    return np.asarray((keys >> np.uint64(11)).astype(np.float64) / 2.0**53)


def _keys(count: int, *parts: int) -> np.ndarray:
    """Return a 64-bit key for each of `count` indices, no two equal."""
    state = 0
    for part in parts:
        state = int(_finalise(np.array([(state + part + _STEP) & _MASK], dtype=np.uint64))[0])
    index = np.arange(1, count + 1, dtype=np.uint64)
    return _finalise(index * np.uint64(_STEP) + np.array([state], dtype=np.uint64))


def _finalise(keys: np.ndarray) -> np.ndarray:
    """Mix 64-bit keys; arrays, because their overflow wraps without a warning."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))
