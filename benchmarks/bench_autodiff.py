"""Measure what a gradient costs: calclib.autodiff beside hand-written NumPy and other libraries.

Every ratio is the median of one contender over the median of the gradient written by hand, in
processor time, so that other work on the machine counts little. All take turns in the same run, on
one thread, in float64, and each must give the gradient of the one by hand before it is timed.
PyTorch (eager), JAX (jit) and, in the row of scalars, micrograd take part where they are installed;
of JAX the threads that wait count too. A figure with a tilde is quoted, not measured. The last part
shows what a gradient costs beside its function, in time and memory, as size and depth grow; its
plot is `_build/bench_autodiff.png`.

The gradient by hand overwrites each array as soon as it is not needed. "calclib" is a gradient with
a Var for each W and b of a layer; in the rows that train, the step is the same code as by hand.
"nn.train" is the whole of it: optimizer, checks of what is not finite, and the record of losses.

The arrays of the Adam row are large enough that glibc hands freed ones back to the system, and a
tape pays for its memory again in every step, unless the process keeps it, as `nn.train` asks for:
all contenders profit alike. The second of the two rows is from a process that hands it back.
"""

import importlib
import os

os.environ["OMP_NUM_THREADS"] = "1"  # read when NumPy is imported
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import gc
import itertools
import statistics
import subprocess
import sys
import time
from pathlib import Path

import autograd
import autograd.numpy as anp
import numpy as np

from calclib import autodiff as ad
from calclib import nn, optimizers


def installed(name):
    """Return the module, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


torch, jax, micrograd = installed("torch"), installed("jax"), installed("micrograd.engine")
if torch:
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
if jax:
    jax.config.update("jax_enable_x64", True)
    jnp = jax.numpy

PICTURE = Path(__file__).parents[1] / "_build" / "bench_autodiff.png"
HAND_BACK = {"MALLOC_MMAP_THRESHOLD_": str(2**17)}  # glibc's first value, here for good
OTHERS = ("calclib", "nn.train", "autograd", "torch eager", "JAX jit", "micrograd")
REPORTED = {"MLP": "~15,000", "Rosenbrock, arrays": "~2,247", "scalar graph": "~74"}  # micrograd


def medians(contenders, *, times, inner):
    """Return the median time of one call of each, in seconds; all take turns."""
    measured = {name: [] for name in contenders}
    for call in contenders.values():
        call()
    gc.collect()
    for _ in range(times):
        for name, call in contenders.items():
            start = time.process_time()
            for _ in range(inner):
                call()
            measured[name].append((time.process_time() - start) / inner)
    return {name: statistics.median(taken) for name, taken in measured.items()}


def compare(title, contenders, aim, *, tol=1e-10, **how):
    """Check that all give the same gradient, or end of training, then print a row of ratios."""
    expected = np.concatenate([np.ravel(part) for part in contenders["by hand"]()])
    for name, call in contenders.items():
        got = np.concatenate([np.ravel(np.asarray(part)) for part in call()])
        off = np.abs(got - expected).max() / np.abs(expected).max()
        assert off <= tol, f"{title}: {name} is off by {off:.1e}"
    taken = medians(contenders, **how)
    floor = taken["by hand"]
    cells = [f"{taken[n] / floor:.2f}" if n in taken else "-" for n in OTHERS]
    if "micrograd" not in taken:
        cells[-1] = next((v for start, v in REPORTED.items() if title.startswith(start)), "-")
    print(f"{title:42}{floor * 1e6:11.1f}", *(f"{c:>13}" for c in (*cells, f"<= {aim}")))


# A network: layers W, b, W, b, ... with tanh between them


def network(sizes, rng):
    """Return Xavier weights and biases."""
    pairs = list(itertools.pairwise(sizes))
    weights = [rng.normal(size=pair) * (2 / sum(pair)) ** 0.5 for pair in pairs]
    return [part for W in weights for part in (W, np.zeros(W.shape[1]))]


def layers_of(p):
    """Return the layers that the parts W, b, W, b, ... make up."""
    return [nn.Layer(W, b) for W, b in zip(p[::2], p[1::2], strict=True)]


def forward(xp, layer, p, x):
    """Return the outputs, with the functions of one library."""
    for k in range(0, len(p), 2):
        x = layer(x, p[k], p[k + 1])
        x = xp.tanh(x) if k + 2 < len(p) else x
    return x


def product(x, W, b):
    """Return a layer where a library has no single operation for it."""
    return x @ W + b


def by_hand(p, x, loss_and_slope):
    """Return the loss and its gradient for the list p, two matrix products back for each layer."""
    inputs = [x]
    for k in range(0, len(p), 2):
        z = inputs[-1] @ p[k]
        z += p[k + 1]
        inputs.append(np.tanh(z, out=z) if k + 2 < len(p) else z)
    (loss, g), grads = loss_and_slope(inputs[-1]), [None] * len(p)
    ones = np.ones(len(x))
    for k in range(len(p) - 2, -1, -2):
        a = inputs[k // 2]
        grads[k], grads[k + 1] = a.T @ g, ones @ g
        if k:
            g = g @ p[k].T
            a *= a  # no longer needed: becomes the slope 1 - a^2
            np.subtract(1.0, a, out=a)
            g *= a
    return loss, grads


def gradients(p, x, mine, other, of_torch, of_jax):
    """Return, for each library, the function from parameters to the loss and its gradient.

    Each loss takes the outputs; the forward runs share one text.
    """

    def recorded(p):
        v = list(map(ad.Var, p))
        out = mine(forward(ad, ad.affine, v, x))
        found = ad.backward(out, inner=False)
        return out.value, [found[each] for each in v]

    runs = {
        "calclib": recorded,
        "autograd": autograd.value_and_grad(lambda p: other(forward(anp, product, p, x))),
    }
    if torch:
        data = torch.from_numpy(x)

        def on_torch(p):
            out = of_torch(forward(torch, lambda x, W, b: torch.addmm(b, x, W), p, data))
            return out.item(), torch.autograd.grad(out, p)

        runs["torch eager"] = on_torch
    if jax:
        runs["JAX jit"] = jax.jit(jax.value_and_grad(lambda p: of_jax(forward(jnp, product, p, x))))
    return runs


def started(name, p):
    """Return a fresh copy of the parameters, as a library keeps them."""
    if name == "torch eager":
        return [torch.tensor(part, requires_grad=True) for part in p]
    if name == "JAX jit":
        return list(map(jnp.asarray, p))
    return [part.copy() for part in p]


def mlp():
    """Compare one gradient of a network with squared loss."""
    rng = np.random.default_rng(0)
    p, x = network([2, 64, 64, 1], rng), rng.normal(size=(128, 2))
    y = np.sin(x[:, :1])
    runs = {"by hand": lambda p: by_hand(p, x, slope_of_squares(y))}
    runs |= gradients(p, x, *squares(y))
    starts = {name: started(name, p) for name in runs}
    contenders = {name: lambda name=name: joined(*runs[name](starts[name])) for name in runs}
    compare("MLP 2-64-64-1, batch 128", contenders, 1.3, times=31, inner=20)


def joined(value, parts):
    """Return value and gradient as one list; JAX returns before it has computed, so wait."""
    return [value, *(jax.block_until_ready(parts) if jax else parts)]


def slope_of_squares(y):
    """Return the mean squared error with its slope, by hand."""

    def loss_and_slope(out):
        out -= y
        loss = np.vdot(out, out) / y.size
        out *= 2 / y.size
        return loss, out

    return loss_and_slope


def squares(y):
    """Return the mean squared error, for each library."""

    def loss(out):
        return ((out - y) ** 2).mean()

    def of_torch(out):
        return ((out - on_torch) ** 2).mean()

    on_torch = torch and torch.from_numpy(y)
    return lambda out: ad.mean((out - y) ** 2), loss, of_torch, loss


def rosenbrock():
    """Compare the gradient of Rosenbrock's function of 1,000 variables, as array operations."""
    x = np.random.default_rng(0).normal(size=1000)

    def fun(x):
        u = x[:-1]
        return (100 * (x[1:] - u**2) ** 2 + (1 - u) ** 2).sum()

    def hand(x):
        u, g = x[:-1], np.zeros_like(x)
        d = x[1:] - u * u
        e = u - 1
        value = 100 * np.vdot(d, d) + np.vdot(e, e)
        np.multiply(d, 200.0, out=g[1:])
        d *= u
        d *= -400.0
        e *= 2.0
        d += e
        g[:-1] += d
        return value, g

    ours, other = ad.value_and_grad(fun), autograd.value_and_grad(lambda x: anp.sum(fun(x)))
    contenders = {"by hand": lambda: hand(x), "calclib": lambda: ours(x)}
    contenders["autograd"] = lambda: other(x)
    if torch:
        at = torch.tensor(x, requires_grad=True)

        def on_torch():
            out = fun(at)
            return out.item(), *torch.autograd.grad(out, at)

        contenders["torch eager"] = on_torch
    if jax:
        compiled, on_jax = jax.jit(jax.value_and_grad(fun)), jnp.asarray(x)
        contenders["JAX jit"] = lambda: jax.block_until_ready(compiled(on_jax))
    compare("Rosenbrock, arrays, n = 1,000", contenders, 6, times=31, inner=50)


def train(run, update, p, steps):
    """Take steps in place; return the parameters."""
    for k in range(1, steps + 1):
        update(p, run(p)[1], k)
    return p


def sgd(steps=1000):
    """Compare gradient descent on a small network, where the cost of a call dominates."""
    rng = np.random.default_rng(0)
    p, x = network([1, 16, 16, 1], rng), np.linspace(-1, 1, 100).reshape(100, 1)
    y = x**2
    runs = {"by hand": lambda p: by_hand(p, x, slope_of_squares(y))}
    runs |= gradients(p, x, *squares(y))

    def update(p, grads, k):
        for part, g in zip(p, grads, strict=True):
            part -= 0.1 * g

    def update_torch(p, grads, k):
        with torch.no_grad():
            torch._foreach_add_(p, grads, alpha=-0.1)

    @(jax.jit if jax else lambda f: f)
    def stepped(p, grads):
        return [part - 0.1 * g for part, g in zip(p, grads, strict=True)]

    def update_jax(p, grads, k):
        p[:] = stepped(p, grads)

    def whole(layers, steps):
        return nn.train(layers, square_loss, (x, y), optimizers.sgd(0.1), epochs=steps)

    contenders = trainings(runs, p, steps, update, whole, update_torch, update_jax)
    compare("1,000 SGD steps, 1-16-16-1, 100 points", contenders, 2.5, tol=1e-6, times=5, inner=1)


def square_loss(params, X, y):
    """Return the loss of the SGD row, as a reader writes it."""
    return nn.mse(nn.forward(params, X), y)


def class_loss(params, X, y):
    """Return the loss of the Adam row, as a reader writes it."""
    return nn.cross_entropy(nn.forward(params, X), y)


def trainings(runs, p, steps, update, whole, update_torch, update_jax):
    """Return for each library what trains from p and returns the parameters as arrays."""
    updates = {"torch eager": update_torch, "JAX jit": update_jax}

    def trained(name, run):
        own = updates.get(name, update)
        parts = joined(0.0, train(run, own, started(name, p), steps))[1:]
        return [part.detach() for part in parts] if name == "torch eager" else parts

    def by_train():
        return [part for layer in whole(layers_of(p), steps).params for part in layer]

    them = {name: lambda name=name, run=run: trained(name, run) for name, run in runs.items()}
    return them if handing_back() else them | {"nn.train": by_train}


def handing_back():
    """Tell whether this process hands freed memory back."""
    return HAND_BACK.items() <= os.environ.items()


def adam(steps=40):
    """Compare Adam on a classifier, where the matrix products dominate."""
    rng = np.random.default_rng(0)
    p, x = network([64, 128, 128, 10], rng), rng.normal(size=(1024, 64))
    labels, rows = rng.integers(0, 10, 1024), np.arange(1024)

    def slope(z):
        z -= z.max(axis=1, keepdims=True)
        np.exp(z, out=z)
        z /= z.sum(axis=1, keepdims=True)
        loss = -np.log(z[rows, labels]).mean()
        z[rows, labels] -= 1.0
        z /= len(z)
        return loss, z

    def of_other(z):
        top = anp.max(z, axis=1, keepdims=True)
        total = anp.log(anp.sum(anp.exp(z - top), axis=1)) + top[:, 0]
        return anp.mean(total - z[rows, labels])

    def of_torch(z):
        return torch.nn.functional.cross_entropy(z, on_torch)

    on_torch = torch and torch.from_numpy(labels)
    runs = {"by hand": lambda p: by_hand(p, x, slope)} | gradients(
        p,
        x,
        lambda z: ad.mean(ad.logsumexp(z, axis=1) - z[rows, labels]),
        of_other,
        of_torch,
        lambda z: jnp.mean(jax.nn.logsumexp(z, axis=1) - z[rows, labels]),
    )

    def adam_of(xp, part, g, m, v, k):
        m *= 0.9
        m += 0.1 * g
        v *= 0.999
        v += 0.001 * (g * g)
        part -= (1e-3 / (1 - 0.9**k)) * m / (xp.sqrt(v / (1 - 0.999**k)) + 1e-8)

    moments = [(np.empty_like(part), np.empty_like(part)) for part in p]

    def update(p, grads, k):
        for part, g, (m, v) in zip(p, grads, moments, strict=True):
            if k == 1:
                m[:] = v[:] = 0
            adam_of(np, part, g, m, v, k)

    kept = {}

    def update_torch(p, grads, k):
        if k == 1:
            kept["torch"] = torch.optim.Adam(p, lr=1e-3)
        for part, g in zip(p, grads, strict=True):
            part.grad = g
        kept["torch"].step()

    @(jax.jit if jax else lambda f: f)
    def stepped(p, grads, moments, k):
        out = []
        for part, g, (m, v) in zip(p, grads, moments, strict=True):
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            scaled = (m / (1 - 0.9**k)) / (jnp.sqrt(v / (1 - 0.999**k)) + 1e-8)
            out.append((part - 1e-3 * scaled, (m, v)))
        return [part for part, _ in out], [moment for _, moment in out]

    def update_jax(p, grads, k):
        if k == 1:
            kept["jax"] = [(jnp.zeros_like(part), jnp.zeros_like(part)) for part in p]
        p[:], kept["jax"] = stepped(p, grads, kept["jax"], float(k))

    def whole(layers, steps):
        return nn.train(layers, class_loss, (x, labels), optimizers.adam(1e-3), epochs=steps)

    contenders = trainings(runs, p, steps, update, whole, update_torch, update_jax)
    title = f"{steps} Adam steps, 64-128-128-10" + ", handed back" * handing_back()
    compare(title, contenders, 1.2, tol=1e-6, times=5, inner=1)


def scalars():
    """Compare Rosenbrock's function of 10 variables, each a number of its own."""
    x = np.random.default_rng(0).normal(size=10).tolist()

    def fun(x):
        total = 0.0
        for a, b in itertools.pairwise(x):
            total = total + 100 * (b - a**2) ** 2 + (1 - a) ** 2
        return total

    def hand(x):
        total, g = 0.0, [0.0] * len(x)
        for k in range(len(x) - 1):
            a, d = x[k], x[k + 1] - x[k] * x[k]
            e = 1 - a
            total += 100 * d * d + e * e
            g[k] -= 400 * a * d + 2 * e
            g[k + 1] += 200 * d
        return total, *g

    def recorded():
        v = [ad.Var(a) for a in x]
        out = fun(v)
        found = ad.backward(out, inner=False)
        return out.value, *(found[each] for each in v)

    def on_autograd():
        value, g = other(x)
        return value, *g

    other = autograd.value_and_grad(fun)
    contenders = {"by hand": lambda: hand(x), "calclib": recorded, "autograd": on_autograd}
    if torch:

        def on_torch():
            v = [torch.tensor(a, requires_grad=True) for a in x]
            out = fun(v)
            return out.item(), *torch.autograd.grad(out, v)

        contenders["torch eager"] = on_torch
    if micrograd:

        def on_micrograd():
            v = [micrograd.Value(a) for a in x]
            out = fun(v)
            out.backward()
            return out.data, *(each.grad for each in v)

        contenders["micrograd"] = on_micrograd
    compare("scalar graph, Rosenbrock n = 10", contenders, 37, times=31, inner=20)


# A gradient beside its function


def loss_of(depth, width, batch=128):
    """Return the loss of a network as a function of its flat parameters, and a point."""
    rng = np.random.default_rng(0)
    p, x = network([width] * depth + [1], rng), rng.normal(size=(batch, width))
    theta, layers = nn.flatten(layers_of(p))
    return lambda theta: ad.mean(nn.forward(layers(theta), x) ** 2), theta


def beside_function(depth, width):
    """Return the time of a gradient over that of its function, and the tape over the parameters."""
    loss, theta = loss_of(depth, width)
    both = ad.value_and_grad(loss)
    taken = medians({"f": lambda: loss(theta), "g": lambda: both(theta)}, times=15, inner=3)
    rows = ad.tape(loss(ad.Var(theta)))
    made = sum(np.asarray(row.value).nbytes for row in rows if row.operation in ("affine", "tanh"))
    return taken["g"] / taken["f"], made / theta.nbytes


def growth():
    """Print and plot what a gradient costs beside its function, as width and depth grow."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    print(f"\n{'gradient beside function, batch 128':42}{'time ratio':>13}{'tape/params':>13}")
    series = [
        ("width", [(3, width) for width in (2, 8, 32, 128, 512)]),
        ("depth", [(depth, 32) for depth in (2, 4, 8, 16, 32)]),
    ]
    figure, axes = plt.subplots(1, 2, figsize=(8, 3), sharey=True, layout="constrained")
    for (name, cases), axis in zip(series, axes, strict=True):
        ratios = []
        for depth, width in cases:
            ratio, memory = beside_function(depth, width)
            ratios.append(ratio)
            print(f"depth {depth:3}, width {width:4}{'':22}{ratio:13.2f}{memory:13.2f}")
        grown = [case[name == "width"] for case in cases]
        axis.semilogx(grown, ratios, "o-", base=2)
        axis.set(xlabel=name, ylim=(0, None))
    axes[0].set_ylabel("time of f and grad f / time of f")
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=150)
    print(f"plot: {PICTURE.relative_to(PICTURE.parents[1])}")


if __name__ == "__main__":
    if handing_back():
        sys.exit(adam())
    found = {"torch": torch, "jax": jax, "micrograd": micrograd}
    missing = ", ".join(name for name in found if not found[name])
    print("value and gradient over hand-written NumPy, one thread, float64; "
          f"~ as reported; not installed: {missing or 'none'}")  # fmt: skip
    print(f"{'':42}{'by hand, us':>11}", *(f"{n:>13}" for n in (*OTHERS, "aim")))
    for row in (mlp, rosenbrock, sgd, adam):
        row()
    sys.stdout.flush()
    subprocess.run([sys.executable, __file__], env=os.environ | HAND_BACK, check=True)
    scalars()
    growth()
