"""The network of chapter 06 in PyTorch: recorded numbers, and PyTorch itself where it is there."""

import importlib.util
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from calclib import autodiff, nn
from calclib.optimizers import sgd

CHAPTER = Path(__file__).resolve().parent.parent / "chapters" / "06_backpropagation.ipynb"

# Recorded from the listing with PyTorch 2.13.0 in float64: the losses before each of six steps, and
# the lengths of the gradients of W1, b1, W2, b2, W3, b3 at the start.
LOSSES = [
    0.674712207291,
    0.606499198139,
    0.576285740717,
    0.557918908934,
    0.544960595433,
    0.535324750488,
]
LENGTHS = [
    0.708118430928,
    0.102419772443,
    0.483074611273,
    0.0971875436642,
    0.286879217149,
    0.115913547953,
]


def listing():
    """Give the Python listing of the chapter that trains the network in PyTorch."""
    cells = json.loads(CHAPTER.read_text("utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    (found,) = (part for part in text.split("```") if part.startswith("python\nimport torch\n"))
    return found.removeprefix("python\n")


def start_and_data():
    """Give the start by formula, with sines and cosines alone, as the listing has it."""
    layers = []
    for k, (n_in, n_out) in enumerate(itertools.pairwise((2, 5, 4, 3)), start=1):
        i, j = np.arange(n_in)[:, None], np.arange(n_out)
        layers.append(nn.Layer(np.sin(k + 2 * i + 3 * j), np.cos(k + j) / 10))
    X, Y = np.sin(np.arange(12.0)).reshape(6, 2), np.cos(np.arange(18.0)).reshape(6, 3)
    return layers, X, Y


def loss(params, X, Y):
    return nn.mse(nn.forward(params, X, activation="tanh"), Y)


def test_calclib_and_pytorch_train_the_same_network_to_the_same_losses():
    layers, X, Y = start_and_data()
    run = nn.train(layers, loss, (X, Y), sgd(0.1), epochs=5)
    assert run.losses == pytest.approx(LOSSES, rel=1e-10)
    if importlib.util.find_spec("torch"):
        scope = {}
        exec(listing(), scope)
        assert scope["losses"] == pytest.approx(LOSSES, rel=1e-10)


def test_calclib_and_pytorch_have_the_same_gradient_block_by_block():
    layers, X, Y = start_and_data()
    theta, unflatten = nn.flatten(layers)
    slope = autodiff.grad(lambda t: loss(unflatten(t), X, Y))(theta)
    blocks = [block for layer in unflatten(slope) for block in layer]
    assert [np.linalg.norm(block) for block in blocks] == pytest.approx(LENGTHS, rel=1e-10)
    if importlib.util.find_spec("torch"):
        import torch

        scope = {}
        exec(listing(), scope)
        net = scope["formula_start"]((2, 5, 4, 3))
        torch.nn.functional.mse_loss(net(scope["X"]), scope["Y"]).backward()
        for ours, theirs in zip(blocks, net.parameters(), strict=True):
            np.testing.assert_allclose(ours, theirs.grad.numpy().T, rtol=1e-10, atol=1e-14)


def test_the_chapter_prints_the_recorded_losses():
    cells = json.loads(CHAPTER.read_text("utf-8"))["cells"]
    printed = "".join(
        "".join(out.get("text", ""))
        for cell in cells
        if cell["cell_type"] == "code"
        for out in cell["outputs"]
    )
    for k, value in enumerate(LOSSES):
        assert f"after step {k}: loss {value:.8f}\n" in printed
