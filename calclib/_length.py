"""The Euclidean length of vectors that may be huge or tiny."""

import numpy as np


@np.errstate(all="ignore")
def length(a, axis=None):
    """Return the root of the sum of squares, of all of a or along an axis; |a| of a number.

    Squares of what is scaled by a power of two, which is exact, neither overflow nor vanish. What
    is not finite stays so.
    """
    a = np.asarray(a)
    a = a if a.dtype.kind == "f" else a.astype(float)
    if a.ndim == 0:
        return np.abs(a)
    _, power = np.frexp(np.abs(a).max(axis=axis, initial=0.0, keepdims=True))
    root = np.sqrt((np.ldexp(a, -power) ** 2).sum(axis=axis))
    return np.ldexp(root, power.reshape(root.shape))
