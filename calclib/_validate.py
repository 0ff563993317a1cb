"""What may pass the door: shapes, finiteness, and sentences that say the way out.

Every function takes a value and the argument's name, and returns the value in the
form that the code behind the door trusts, or raises. The caller's arrays are copied,
never handed on. A wrong kind of thing is a TypeError, a wrong value a ValueError; each
message tells what was got, what was expected and what to do.
"""

from numbers import Real

import numpy as np

_FLOAT64 = np.dtype(float)


def real(value, name, *, keep_precision=False):
    """Return a finite array of floats, a copy; integers and booleans are promoted.

    With keep_precision an array of float32 stays float32; otherwise float64.
    """
    unmasked(value, name)
    try:
        array = np.array(value)
    except ValueError as error:
        if "inhomogeneous" in str(error) or "broadcast" in str(error):
            raise ValueError(
                f"{name} must be a number or a rectangular array, got rows of unequal length; "
                "give every row the same length"
            ) from None
        raise ValueError(
            f"{name} must be a number or an array, but {type(value).__name__} does not become "
            f"one: {error}; give a list of numbers"
        ) from error
    if array.dtype == object and all(isinstance(entry, Real) for entry in array.flat):
        array = _floats(array, name)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} must hold real numbers, got {_kind(value)}; "
            f"convert it first, for example with np.asarray({name}, dtype=float)"
        )
    if not (keep_precision and array.dtype.kind == "f"):
        array = _floats(array, name)
    if array.size == 0:
        raise ValueError(f"{name} must not be empty, got shape {array.shape}; give one number")
    bad = ~np.isfinite(array)
    if bad.any():
        raise ValueError(
            f"{name} must be finite, got {show(array[bad][0])}"
            f"{_place(bad)}; replace or remove it before the call"
        )
    return array


def _floats(array, name):
    """Return the numbers as float64; one that is finite and beyond all floats is refused."""
    try:
        with np.errstate(over="ignore"):
            floats = array.astype(float)
        large = array.dtype.kind == "f" and (np.isinf(floats) & np.isfinite(array)).any()
    except OverflowError:
        large = True
    if large:
        raise ValueError(
            f"{name} must be at most {np.finfo(float).max:.2g} in size, so that it is a float, "
            "got a larger number; divide it by its size, or use its logarithm"
        )
    return floats


def real_or_symbols(value, name):
    """Return a number or an array of floats, integers promoted, or symbols as they are.

    For arithmetic that goes on with what came in: floats and symbols are not copied, a list, which
    has another arithmetic, is refused, and what is not finite passes.
    """
    unmasked(value, name)
    known = isinstance(value, Real) or hasattr(value, "free_symbols") or hasattr(value, "__array__")
    array = np.asarray(value) if known else np.array(None)
    entries = list(array.flat) if array.dtype == object else []
    if array.dtype.kind not in "biufO" or not all(map(_is_real_or_symbol, entries)):
        raise TypeError(
            f"{name} must be a real number, an array of them, or symbols, got {_kind(value)}; "
            f"convert it first, for example with np.asarray({name}, dtype=float)"
        )
    if any(hasattr(entry, "free_symbols") for entry in entries):
        return value
    if array.dtype.kind == "f":
        return array if isinstance(value, np.ndarray) else value
    return _floats(array, name)[()]


def _is_real_or_symbol(entry):
    """Tell whether an entry is a real number of Python or SymPy, or has symbols."""
    if isinstance(entry, Real) or is_symbolic(entry):
        return True
    try:
        return hasattr(entry, "free_symbols") and isinstance(float(entry), float)
    except TypeError:  # a complex number, or a truth value
        return False


def unmasked(value, name):
    """Return value if it is no array with masked entries: NumPy would show what they hide."""
    parts = value if isinstance(value, list | tuple) else ()
    if any(isinstance(a, np.ma.MaskedArray) and np.ma.is_masked(a) for a in (value, *parts)):
        raise ValueError(
            f"{name} must not have masked entries, got a masked array; fill them, for example "
            "with .filled(0.0), or drop them with .compressed()"
        )
    return value


def number(value, name):
    """Return a finite float."""
    array = real(value, name)
    if array.ndim:
        raise ValueError(
            f"{name} must be one number, got shape {array.shape}; use {name}[0] or a loop"
        )
    return array.item()


def vector(value, name):
    """Return a finite array of shape (n,)."""
    array = real(value, name)
    if array.ndim == 0:
        raise ValueError(f"{name} must have shape (n,), got a number; use np.array([{name}])")
    if array.ndim > 1:
        raise ValueError(f"{name} must have shape (n,), got {array.shape}; use {name}.ravel()")
    return array


def point(value, name="x", *, keep_precision=False):
    """Return a finite array, 0-d for a number or of shape (n,)."""
    array = real(value, name, keep_precision=keep_precision)
    if array.ndim > 1:
        raise ValueError(
            f"{name} must be a number or have shape (n,), got {array.shape}; use {name}.ravel()"
        )
    return array


def start(x0, name="x0"):
    """Return one start point: 0-d for a number or of shape (n,)."""
    array = real(x0, name)
    if array.ndim > 1:
        raise ValueError(
            f"{name} must be one start, a number or shape (n,), got {array.shape}; "
            f"use {name}.ravel() for one start, or minimize_many for starts as columns (n, k)"
        )
    return array


def starts(value, name="starts"):
    """Return k start points as columns, shape (n, k)."""
    array = real(value, name)
    if array.ndim != 2:
        raise ValueError(
            f"{name} must hold the starts as columns, shape (n, k), got shape {array.shape}; "
            f"use {name}[:, None] for one start of n numbers, {name}[None, :] for k numbers, "
            "or minimize for a single start"
        )
    return array


def positive(value, name):
    """Return a float, or an array, above zero; an expression with symbols passes as it is."""
    if is_symbolic(value):
        return value
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be a number above 0, got {value}; write {name}=1.0")
    array = real(value, name)
    if not (array > 0).all():
        raise ValueError(
            f"{name} must be above 0, got {show(array[array <= 0][0])}{_place(array <= 0)}; "
            f"try a small positive number such as {name}=0.01"
        )
    return array.item() if array.ndim == 0 else array


def at_least_zero(value, name):
    """Return a float, or an array, of 0 or above; an expression with symbols passes as it is."""
    if is_symbolic(value):
        return value
    array = real(value, name)
    if (array < 0).any():
        raise ValueError(
            f"{name} must be 0 or above, got {show(array[array < 0][0])}{_place(array < 0)}; "
            f"write {name}=0.0 to switch it off"
        )
    return array.item() if array.ndim == 0 else array


def fraction(value, name):
    """Return a float, or an array, in [0, 1); an expression with symbols passes as it is.

    An array is for runs side by side: one momentum for each column.
    """
    if is_symbolic(value):
        return value
    array = real(value, name)
    bad = (array < 0) | (array >= 1)
    if bad.any():
        raise ValueError(
            f"{name} must lie in [0, 1), got {show(array[bad][0])}{_place(bad)}; "
            f"try for example {name}=0.9"
        )
    return array.item() if array.ndim == 0 else array


def positive_int(value, name, *, least=1):
    """Return an int of at least 1, or least; 100.0 is refused, as it is in range(100.0)."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be a whole number, got {_kind(value)}; use int({name})")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}; write {name}={least}")
    return int(value)


def choice(value, name, options):
    """Return value if it is one of the options."""
    if not isinstance(value, str) or value not in options:
        known = ", ".join(repr(option) for option in options)
        raise ValueError(f"{name} must be one of {known}, got {value!r}; choose one of these")
    return value


def generator(rng):
    """Return rng if it is a random generator."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"rng must be a random generator, got {rng!r}; use rng=np.random.default_rng(0)"
        )
    return rng


def evaluate(fun, x, name="fun"):
    """Return fun(x) as an array, with no warnings on the way.

    A value that is not finite, and an arithmetic failure inside fun, is a ValueError that
    names the point.
    """
    try:
        with np.errstate(all="ignore"):
            value = fun(x)
    except (ArithmeticError, ValueError) as error:
        raise ValueError(
            f"{name} could not be evaluated at x={show(x)}: {error}; "
            f"move to a point where {name} and its surroundings are defined"
        ) from error
    return finite(value, x, name)


def is_plain(value):
    """Tell whether value is an array of finite float64, the usual case, by one quick look.

    It is a product with itself, in one pass. False may also mean that the squares overflow.
    """
    return type(value) is np.ndarray and value.dtype is _FLOAT64 and np.vdot(value, value) < np.inf


def finite(value, x, name="fun"):
    """Return value as an array of finite real numbers; x is the point named if it is not."""
    if is_plain(value):
        return value
    array = np.asarray(unmasked(value, f"the value of {name}"))
    if array.dtype.kind == "c" and not array.imag.any():
        array = array.real
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} must return real numbers, got {_kind(value)} at x={show(x)}; "
            "check that it ends in return and stays real there"
        )
    bad = ~np.isfinite(array)
    if bad.any():
        if np.ndim(x) == 2 and array.shape[-1:] == x.shape[1:]:  # points as columns
            x = x[:, np.argwhere(bad)[0][-1]]
        raise ValueError(
            f"{name} is not finite at x={show(x)}: got {show(array[bad][0])}; "
            f"move to a point where {name} and its surroundings are defined"
        )
    return array


def scalar_output(value, verb="grad"):
    """Return value, a 0-d array, if it is a scalar."""
    if np.ndim(value):
        raise ValueError(
            f"{verb} needs a scalar output, got shape {np.shape(value)}; use jacobian instead"
        )
    return value


def is_symbolic(value):
    """Tell whether value is a SymPy expression with symbols, or an array holding one."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        return any(is_symbolic(entry) for entry in value.flat)
    return bool(getattr(value, "free_symbols", False))


def show(x):
    """Return a short text of a number or an array for a message."""
    array = np.asarray(x)
    if array.ndim == 0:
        return str(array[()])
    return np.array2string(array, separator=", ", threshold=8, edgeitems=3)


def _kind(value):
    """Return what kind of thing value is, in words, and how it begins."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}"
    try:
        return f"{type(value).__name__} {str(value)[:40]!r}"
    except ValueError:  # a whole number of more digits than Python writes
        return type(value).__name__


def _place(bad):
    """Return where the first marked entry is, in words."""
    if bad.ndim == 0:
        return ""
    index = ", ".join(str(i) for i in np.argwhere(bad)[0])
    return f" at index [{index}]"
