"""Measure what a step costs: calclib.optimizers beside in-place NumPy, torch.optim and optax.

Every ratio is the median of one contender over the median of the step written by hand, which works
in place in arrays that are made once. All take turns in the same run, on one thread, in float64,
in processor time, and each must reach the point of the one by hand before it is timed. PyTorch and
optax (one compiled function for step and new point, which may overwrite its arguments) take part
where they are installed.

The memory is the largest that a process of its own holds while it takes five steps of Adam with
10^7 parameters, beyond the parameters and the gradient, in units of the parameters: state,
temporaries, new point.
"""

import importlib
import os

os.environ["OMP_NUM_THREADS"] = "1"  # read when NumPy is imported
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import gc
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from calclib import optimizers


def installed(name):
    """Return the module, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


ONLY = sys.argv[2] if len(sys.argv) == 3 else ""  # the contender whose memory is measured here
torch = installed("torch") if ONLY in ("", "torch.optim") else None
optax = installed("optax") if ONLY in ("", "optax jit") else None
jax = optax and installed("jax")
if torch:
    torch.set_num_threads(1)
if jax:
    jax.config.update("jax_enable_x64", True)

RULES = ("momentum", "adam")
OTHERS = ("calclib", "torch.optim", "optax jit")
SIZES = {10**3: (31, 200), 10**5: (15, 20), 10**7: (3, 1)}  # size: (times, inner)
RATE, MOMENTUM, BETA1, BETA2, EPS = 1e-3, 0.9, 0.9, 0.999, 1e-8


# A contender is a function that takes a step and returns the point


def by_hand(rule, x, g):
    """Write the rule in place, with one array to work in."""
    m, v, t, k = np.zeros_like(x), np.zeros_like(x), np.empty_like(x), 0

    def momentum():
        np.multiply(m, MOMENTUM, out=m)
        np.add(m, g, out=m)
        np.multiply(m, -RATE, out=t)
        np.add(x, t, out=x)
        return x

    def adam():
        nonlocal k
        k += 1
        np.multiply(m, BETA1, out=m)
        np.multiply(g, 1 - BETA1, out=t)
        np.add(m, t, out=m)
        np.multiply(v, BETA2, out=v)
        np.multiply(g, g, out=t)
        np.multiply(t, 1 - BETA2, out=t)
        np.add(v, t, out=v)
        np.sqrt(v, out=t)
        np.divide(t, (1 - BETA2**k) ** 0.5, out=t)
        np.add(t, EPS, out=t)
        np.divide(m, t, out=t)
        np.multiply(t, -RATE / (1 - BETA1**k), out=t)
        np.add(x, t, out=x)
        return x

    return momentum if rule == "momentum" else adam


def of_calclib(rule, x, g):
    """Take the step as a reader does: a new state and a new point each time."""
    optimizer = {
        "momentum": optimizers.sgd(RATE, momentum=MOMENTUM),
        "adam": optimizers.adam(RATE),
    }[rule]
    state = optimizer.init(x)

    def step():
        nonlocal x, state
        move, state = optimizer.update(g, state, x)
        x = x + move
        return x

    return step


def of_torch(rule, x, g):
    """Let torch.optim change the parameter in place."""
    x = torch.from_numpy(x).requires_grad_()
    x.grad = torch.from_numpy(g)
    optimizer = {
        "momentum": lambda: torch.optim.SGD([x], lr=RATE, momentum=MOMENTUM),
        "adam": lambda: torch.optim.Adam([x], lr=RATE),
    }[rule]()

    def step():
        optimizer.step()
        return x.detach()

    return step


def of_optax(rule, x, g):
    """Compile the step of optax and the new point into one function."""
    optimizer = {
        "momentum": lambda: optax.sgd(RATE, momentum=MOMENTUM),
        "adam": lambda: optax.adam(RATE),
    }[rule]()

    def advance(x, state, g):
        move, state = optimizer.update(g, state, x)
        return optax.apply_updates(x, move), state

    compiled = jax.jit(advance, donate_argnums=(0, 1))
    x, g = jax.numpy.array(x), jax.numpy.array(g)
    state = optimizer.init(x)

    def step():
        nonlocal x, state
        x, state = compiled(x, state, g)
        return jax.block_until_ready(x)

    return step


CONTENDERS = {"by hand": by_hand, "calclib": of_calclib}
CONTENDERS |= {"torch.optim": of_torch} if torch else {}
CONTENDERS |= {"optax jit": of_optax} if jax else {}


def point_and_gradient(n):
    """Return a point and a gradient of n numbers."""
    rng = np.random.default_rng(0)
    return rng.normal(size=n), rng.normal(size=n)


def compare(rule, n):
    """Check that all reach the same point in three steps, then print a row of ratios."""
    x, g = point_and_gradient(n)
    steps = {name: make(rule, x.copy(), g) for name, make in CONTENDERS.items()}
    for _ in range(3):
        reached = {name: step() for name, step in steps.items()}
    for name, point in reached.items():
        off = np.abs(np.asarray(point) - reached["by hand"]).max()
        assert off <= 1e-12, f"{rule}, {n}: {name} is off by {off:.1e}"
    del reached, point
    times, inner = SIZES[n]
    taken = medians(steps, times=times, inner=inner)
    floor = taken["by hand"]
    cells = [f"{taken[name] / floor:.2f}" if name in taken else "-" for name in OTHERS]
    print(f"{rule:12}{n:>12,}{floor * 1e6:>13.1f}", *(f"{cell:>12}" for cell in cells), flush=True)


def medians(contenders, *, times, inner):
    """Return the median time of one call of each, in seconds; all take turns."""
    measured = {name: [] for name in contenders}
    gc.collect()
    for _ in range(times):
        for name, call in contenders.items():
            start = time.process_time()
            for _ in range(inner):
                call()
            measured[name].append((time.process_time() - start) / inner)
    return {name: statistics.median(taken) for name, taken in measured.items()}


# Memory


def held():
    """Return the memory that the process holds now, in bytes; Linux only."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def print_memory(rule, name, n=10**7):
    """Print the most memory that five steps hold beyond x and g, in units of x."""
    CONTENDERS[name](rule, *point_and_gradient(10))()  # what the library itself loads
    x, g = point_and_gradient(n)
    gc.collect()
    before, peak, done = held(), 0, threading.Event()

    def watch():
        nonlocal peak
        while not done.is_set():
            peak = max(peak, held())
            time.sleep(1e-3)

    watcher = threading.Thread(target=watch)
    watcher.start()
    step = CONTENDERS[name](rule, x, g)
    if name == "optax jit":  # it has copies of its own
        before += x.nbytes + g.nbytes
    for _ in range(5):
        step()
    done.set()
    watcher.join()
    print(f"{(peak - before) / x.nbytes:.1f}")


def memory(rule):
    """Print the memory of each contender, each measured in a process of its own."""
    cells = []
    for name in ("by hand", *OTHERS):
        command = [sys.executable, __file__, rule, name]
        run = subprocess.run(command, capture_output=True, text=True, check=name in CONTENDERS)
        cells.append(run.stdout.strip() if name in CONTENDERS else "-")
    print(f"{rule:12}{10**7:>12,}{cells[0]:>13}", *(f"{cell:>12}" for cell in cells[1:]))


if __name__ == "__main__":
    if ONLY:
        print_memory(sys.argv[1], ONLY)
        sys.exit()
    missing = [name for name, there in (("torch", torch), ("optax", jax)) if not there]
    print("a step over in-place NumPy, one thread, float64; "
          f"not installed: {', '.join(missing) or 'none'}")  # fmt: skip
    print(f"{'rule':12}{'parameters':>12}{'by hand, us':>13}", *(f"{name:>12}" for name in OTHERS))
    for rule in RULES:
        for n in SIZES:
            compare(rule, n)
    if Path("/proc/self/statm").exists():
        print(f"\n{'memory / x':24}{'by hand':>13}", *(f"{name:>12}" for name in OTHERS))
        memory("adam")
