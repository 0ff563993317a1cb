"""Newton's method and L-BFGS find the minima that SciPy finds, on the functions of the field."""

import numpy as np
import pytest
from scipy import optimize

from calclib import problems
from calclib.descent import lbfgs, newton


def powell(x):
    """Powell's singular function: four coordinates, minimum 0 at 0, where H has rank 2."""
    return (
        (x[0] + 10 * x[1]) ** 2
        + 5 * (x[2] - x[3]) ** 2
        + (x[1] - 2 * x[2]) ** 4
        + 10 * (x[0] - x[3]) ** 4
    )


def powell_grad(x):
    a, b = x[0] + 10 * x[1], x[2] - x[3]
    c, d = x[1] - 2 * x[2], x[0] - x[3]
    return np.array(
        [
            2 * a + 40 * d**3,
            20 * a + 4 * c**3,
            10 * b - 8 * c**3,
            -10 * b - 40 * d**3,
        ]
    )


def powell_hess(x):
    c, d = (x[1] - 2 * x[2]) ** 2, (x[0] - x[3]) ** 2
    return np.array(
        [
            [2 + 120 * d, 20, 0, -120 * d],
            [20, 200 + 12 * c, -24 * c, 0],
            [0, -24 * c, 10 + 48 * c, -10],
            [-120 * d, 0, -10, 10 + 120 * d],
        ]
    )


def wood(x):
    """Wood's function: four coordinates, minimum 0 at (1, 1, 1, 1)."""
    return (
        100 * (x[1] - x[0] ** 2) ** 2
        + (1 - x[0]) ** 2
        + 90 * (x[3] - x[2] ** 2) ** 2
        + (1 - x[2]) ** 2
        + 10.1 * ((x[1] - 1) ** 2 + (x[3] - 1) ** 2)
        + 19.8 * (x[1] - 1) * (x[3] - 1)
    )


def wood_grad(x):
    a, b = x[1] - x[0] ** 2, x[3] - x[2] ** 2
    return np.array(
        [
            -400 * x[0] * a - 2 * (1 - x[0]),
            200 * a + 20.2 * (x[1] - 1) + 19.8 * (x[3] - 1),
            -360 * x[2] * b - 2 * (1 - x[2]),
            180 * b + 20.2 * (x[3] - 1) + 19.8 * (x[1] - 1),
        ]
    )


def wood_hess(x):
    return np.array(
        [
            [1200 * x[0] ** 2 - 400 * x[1] + 2, -400 * x[0], 0, 0],
            [-400 * x[0], 220.2, 0, 19.8],
            [0, 0, 1080 * x[2] ** 2 - 360 * x[3] + 2, -360 * x[2]],
            [0, 19.8, -360 * x[2], 200.2],
        ]
    )


def of(problem):
    return problem.fun, problem.grad, problem.hess


# name: (fun, grad, hess), starts, tolerance of x.
#
# A gradient of length tol leaves an error of tol / (smallest eigenvalue) in x: below 1e-7 for all
# but Powell's function, and SciPy has its own. Powell's gradient falls with the cube of the error
# along two directions, so that 1e-8 leaves an error of about 1e-8^(1/3) = 2e-3: x is not known
# better than that, while the value, of the order of the fourth power, is.
FUNCTIONS = {
    "Rosenbrock": (of(problems.valley()), [[-1.2, 1.0], [2.0, 2.0], [0.0, -1.0]], 2e-6),
    "Beale": (of(problems.beale()), [[1.0, 1.0], [2.0, 0.0], [4.0, 0.6]], 2e-6),
    "Himmelblau": (
        of(problems.himmelblau()),
        [[4.0, 3.0], [-3.0, 3.0], [-4.0, -3.0], [3.5, -2.0]],
        2e-6,
    ),
    "Wood": ((wood, wood_grad, wood_hess), [[-3.0, -1.0, -3.0, -1.0], [0.5, 0, 0.5, 0]], 2e-6),
    "Powell": ((powell, powell_grad, powell_hess), [[3.0, -1.0, 0.0, 1.0], [1.0, 1, 1, 2]], 5e-3),
}
CASES = [
    pytest.param(name, start, id=f"{name} from {start}")
    for name, (_, starts, _) in FUNCTIONS.items()
    for start in starts
]
every_case = pytest.mark.parametrize(("name", "start"), CASES)
TOL = 1e-8


def of_scipy(name, start):
    """The minimum that SciPy's BFGS finds, down to the same length of the gradient."""
    fun, grad, _ = FUNCTIONS[name][0]
    return optimize.minimize(fun, start, jac=grad, method="BFGS", options={"gtol": TOL})


def agree(result, name, start):
    reference, tolerance = of_scipy(name, start), FUNCTIONS[name][2]
    assert result.status == "converged"
    assert result.grad_norms[-1] <= TOL
    np.testing.assert_allclose(result.x, reference.x, atol=tolerance)
    np.testing.assert_allclose(result.fun, reference.fun, atol=1e-9)


@every_case
def test_newton_with_a_line_search_finds_the_minimum_of_scipy(name, start):
    fun, grad, hess = FUNCTIONS[name][0]
    result = newton(fun, start, grad=grad, hess=hess, line_search=True, tol=TOL)
    agree(result, name, start)
    if name != "Powell":
        assert result.message.endswith("a minimum.")


@every_case
def test_lbfgs_finds_the_minimum_of_scipy(name, start):
    fun, grad, _ = FUNCTIONS[name][0]
    agree(lbfgs(fun, start, grad=grad, tol=TOL), name, start)


@every_case
def test_lbfgs_takes_no_more_than_twice_the_calls_of_scipy(name, start):
    fun, grad, _ = FUNCTIONS[name][0]
    ours = lbfgs(fun, start, grad=grad, tol=TOL)
    theirs = optimize.minimize(
        fun, start, jac=grad, method="L-BFGS-B", options={"gtol": TOL, "ftol": 0, "maxcor": 10}
    )
    assert ours.nfev <= 2 * theirs.nfev


@every_case
def test_without_derivatives_newton_finds_the_same_minimum(name, start):
    fun, _, _ = FUNCTIONS[name][0]
    result = newton(fun, start, line_search=True, tol=1e-6)
    reference = of_scipy(name, start)
    tolerance = 2e-2 if name == "Powell" else 2e-5  # of 1e-6^(1/3), and of 1e-6 / 0.3
    np.testing.assert_allclose(result.x, reference.x, atol=tolerance)


def test_at_the_minimum_of_powell_two_eigenvalues_are_zero():
    eigenvalues = np.linalg.eigvalsh(powell_hess(np.zeros(4)))
    np.testing.assert_allclose(eigenvalues, [0, 0, 20, 202], atol=1e-12)
    result = newton(powell, np.zeros(4), grad=powell_grad, hess=powell_hess)
    assert result.status == "converged"
    assert "one counts as zero" in result.message


def test_newton_stops_where_the_hessian_of_powell_is_singular_and_damping_is_the_way_out():
    """Where the first and the last coordinate are equal, H has rank 3."""
    start = [1.0, 1.0, 1.0, 1.0]
    derivatives = {"grad": powell_grad, "hess": powell_hess}
    plain = newton(powell, start, **derivatives)
    assert (plain.status, plain.nit) == ("singular", 0)
    damped = newton(powell, start, damping=1e-6, line_search=True, tol=TOL, **derivatives)
    agree(damped, "Powell", start)


@pytest.mark.parametrize("name", ["Wood", "Powell"])
def test_the_derivatives_written_here_are_those_of_the_functions(name):
    fun, grad, hess = FUNCTIONS[name][0]
    x = np.array([0.7, -1.3, 0.4, 1.1])
    np.testing.assert_allclose(grad(x), optimize.approx_fprime(x, fun), rtol=1e-4)
    np.testing.assert_allclose(hess(x), optimize.approx_fprime(x, grad), rtol=1e-4, atol=1e-4)
