"""The one table of functions: formula, program and derivatives by hand, for all test modules.

Each row says the same function three times. Programs take points as columns too: one
variable x is a float or shape (k,), several are p of shape (n,) or (n, k). They are written with
NumPy functions that Vars can follow: stack where array would do for numbers.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import sympy as sp


class Function(NamedTuple):
    """One function f, with f' and f'', or gradient and Hessian, written by hand."""

    name: str
    variables: tuple
    expr: sp.Expr
    fun: Callable
    grad: Callable
    hess: Callable
    domain: tuple  # (low, high) for every variable


class VectorFunction(NamedTuple):
    """One function from n to m numbers, with its Jacobian by hand."""

    name: str
    variables: tuple
    exprs: tuple
    fun: Callable
    jac: Callable
    domain: tuple


x, y, z = sp.symbols("x y z")


def sigmoid(t):
    return 1 / (1 + np.exp(-t))


LINE = [
    Function(
        "cubic",
        (x,),
        x**3 - 5 * x + 7,
        lambda t: t**3 - 5 * t + 7,
        lambda t: 3 * t**2 - 5,
        lambda t: 6 * t,
        (-3, 3),
    ),
    Function(
        "polynomial",
        (x,),
        3 * x**3 + 2 * x**2 - 5 * x + 1,
        lambda t: ((3 * t + 2) * t - 5) * t + 1,
        lambda t: (9 * t + 4) * t - 5,
        lambda t: 18 * t + 4,
        (-3, 3),
    ),
    Function("sine", (x,), sp.sin(x), np.sin, np.cos, lambda t: -np.sin(t), (-5, 5)),
    Function("exponential", (x,), sp.exp(x), np.exp, np.exp, np.exp, (-3, 3)),
    Function("logarithm", (x,), sp.log(x), np.log, lambda t: 1 / t, lambda t: -1 / t**2, (0.5, 5)),
    Function(
        "root",
        (x,),
        sp.sqrt(x),
        np.sqrt,
        lambda t: 0.5 / np.sqrt(t),
        lambda t: -0.25 * t**-1.5,
        (0.5, 5),
    ),
    Function(
        "reciprocal",
        (x,),
        1 / x,
        lambda t: 1 / t,
        lambda t: -1 / t**2,
        lambda t: 2 / t**3,
        (0.5, 5),
    ),
    Function(
        "hyperbolic tangent",
        (x,),
        sp.tanh(x),
        np.tanh,
        lambda t: 1 - np.tanh(t) ** 2,
        lambda t: -2 * np.tanh(t) * (1 - np.tanh(t) ** 2),
        (-4, 4),
    ),
    Function(
        "sigmoid",
        (x,),
        1 / (1 + sp.exp(-x)),
        sigmoid,
        lambda t: sigmoid(t) * (1 - sigmoid(t)),
        lambda t: sigmoid(t) * (1 - sigmoid(t)) * (1 - 2 * sigmoid(t)),
        (-6, 6),
    ),
    Function(
        "softplus",
        (x,),
        sp.log(1 + sp.exp(x)),
        lambda t: np.log1p(np.exp(t)),
        sigmoid,
        lambda t: sigmoid(t) * (1 - sigmoid(t)),
        (-6, 6),
    ),
    Function(
        "gaussian",
        (x,),
        sp.exp(-(x**2)),
        lambda t: np.exp(-(t**2)),
        lambda t: -2 * t * np.exp(-(t**2)),
        lambda t: (4 * t**2 - 2) * np.exp(-(t**2)),
        (-3, 3),
    ),
    Function(
        "two wells",
        (x,),
        x**2 + 10 * sp.sin(x),
        lambda t: t**2 + 10 * np.sin(t),
        lambda t: 2 * t + 10 * np.cos(t),
        lambda t: 2 - 10 * np.sin(t),
        (-5, 5),
    ),
    Function(
        "plateau",
        (x,),
        x**2 + 5 * sp.sin(x),
        lambda t: t**2 + 5 * np.sin(t),
        lambda t: 2 * t + 5 * np.cos(t),
        lambda t: 2 - 5 * np.sin(t),
        (-5, 5),
    ),
    Function(
        "chain",
        (x,),
        (x**2 + 1) ** 3,
        lambda t: (t**2 + 1) ** 3,
        lambda t: 6 * t * (t**2 + 1) ** 2,
        lambda t: 6 * (t**2 + 1) ** 2 + 24 * t**2 * (t**2 + 1),
        (-2, 2),
    ),
]

SPACE = [
    Function(
        "bowl",
        (x, y),
        x**2 + 10 * y**2,
        lambda p: p[0] ** 2 + 10 * p[1] ** 2,
        lambda p: np.array([2 * p[0], 20 * p[1]]),
        lambda p: np.diag([2.0, 20.0]),
        (-3, 3),
    ),
    Function(
        "valley",
        (x, y),
        (1 - x) ** 2 + 100 * (y - x**2) ** 2,
        lambda p: (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2,
        lambda p: np.array(
            [2 * (p[0] - 1) - 400 * p[0] * (p[1] - p[0] ** 2), 200 * (p[1] - p[0] ** 2)]
        ),
        lambda p: np.array([[2 - 400 * p[1] + 1200 * p[0] ** 2, -400 * p[0]], [-400 * p[0], 200]]),
        (-2, 2),
    ),
    Function(
        "saddle",
        (x, y),
        x**2 + 3 * y**2 - 4 * x * y,
        lambda p: p[0] ** 2 + 3 * p[1] ** 2 - 4 * p[0] * p[1],
        lambda p: np.array([2 * p[0] - 4 * p[1], 6 * p[1] - 4 * p[0]]),
        lambda p: np.array([[2.0, -4.0], [-4.0, 6.0]]),
        (-3, 3),
    ),
    Function(
        "himmelblau",
        (x, y),
        (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2,
        lambda p: (p[0] ** 2 + p[1] - 11) ** 2 + (p[0] + p[1] ** 2 - 7) ** 2,
        lambda p: np.array(
            [
                4 * p[0] * (p[0] ** 2 + p[1] - 11) + 2 * (p[0] + p[1] ** 2 - 7),
                2 * (p[0] ** 2 + p[1] - 11) + 4 * p[1] * (p[0] + p[1] ** 2 - 7),
            ]
        ),
        lambda p: np.array(
            [
                [12 * p[0] ** 2 + 4 * p[1] - 42, 4 * (p[0] + p[1])],
                [4 * (p[0] + p[1]), 12 * p[1] ** 2 + 4 * p[0] - 26],
            ]
        ),
        (-4, 4),
    ),
    Function(
        "neuron",
        (x, y),
        1 / (1 + sp.exp(-(2 * x + y))),
        lambda p: sigmoid(2 * p[0] + p[1]),
        lambda p: np.multiply.outer(
            [2.0, 1.0], sigmoid(2 * p[0] + p[1]) * sigmoid(-2 * p[0] - p[1])
        ),
        lambda p: (
            np.array([[4.0, 2.0], [2.0, 1.0]])
            * sigmoid(2 * p[0] + p[1])
            * sigmoid(-2 * p[0] - p[1])
            * (1 - 2 * sigmoid(2 * p[0] + p[1]))
        ),
        (-2, 2),
    ),
    Function(
        "log-sum-exp",
        (x, y, z),
        sp.log(sp.exp(x) + sp.exp(y) + sp.exp(z)),
        lambda p: np.log(np.exp(p[0]) + np.exp(p[1]) + np.exp(p[2])),
        lambda p: np.exp(p) / np.exp(p).sum(axis=0),
        lambda p: (
            np.diag(np.exp(p) / np.exp(p).sum())
            - np.outer(np.exp(p), np.exp(p)) / np.exp(p).sum() ** 2
        ),
        (-3, 3),
    ),
    Function(
        "product and wave",
        (x, y, z),
        x * y * z + sp.sin(x * z),
        lambda p: p[0] * p[1] * p[2] + np.sin(p[0] * p[2]),
        lambda p: np.array(
            [
                p[1] * p[2] + p[2] * np.cos(p[0] * p[2]),
                p[0] * p[2],
                p[0] * p[1] + p[0] * np.cos(p[0] * p[2]),
            ]
        ),
        lambda p: np.array(
            [
                [
                    -(p[2] ** 2) * np.sin(p[0] * p[2]),
                    p[2],
                    p[1] + np.cos(p[0] * p[2]) - p[0] * p[2] * np.sin(p[0] * p[2]),
                ],
                [p[2], 0, p[0]],
                [
                    p[1] + np.cos(p[0] * p[2]) - p[0] * p[2] * np.sin(p[0] * p[2]),
                    p[0],
                    -(p[0] ** 2) * np.sin(p[0] * p[2]),
                ],
            ]
        ),
        (-2, 2),
    ),
]

VECTOR = [
    VectorFunction(
        "polar",
        (x, y),
        (x * sp.cos(y), x * sp.sin(y)),
        lambda p: np.stack([p[0] * np.cos(p[1]), p[0] * np.sin(p[1])]),
        lambda p: np.array(
            [[np.cos(p[1]), -p[0] * np.sin(p[1])], [np.sin(p[1]), p[0] * np.cos(p[1])]]
        ),
        (-3, 3),
    ),
    VectorFunction(
        "three of two",
        (x, y),
        (x * y, x**2, sp.exp(y)),
        lambda p: np.stack([p[0] * p[1], p[0] ** 2, np.exp(p[1])]),
        lambda p: np.array([[p[1], p[0]], [2 * p[0], 0], [0, np.exp(p[1])]]),
        (-2, 2),
    ),
    VectorFunction(
        "softmax",
        (x, y, z),
        tuple(sp.exp(v) / (sp.exp(x) + sp.exp(y) + sp.exp(z)) for v in (x, y, z)),
        lambda p: np.exp(p) / np.exp(p).sum(axis=0),
        lambda p: (
            np.diag(np.exp(p) / np.exp(p).sum())
            - np.outer(np.exp(p), np.exp(p)) / np.exp(p).sum() ** 2
        ),
        (-2, 2),
    ),
]

FUNCTIONS = LINE + SPACE


def by_name(rows):
    """Return pytest parameters, one for each row, with its name as the id."""
    return {"argvalues": rows, "ids": [row.name for row in rows]}
