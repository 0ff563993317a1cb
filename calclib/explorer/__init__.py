"""Explorers: figures with sliders that work live, on a static page and on paper."""

from calclib.explorer.chapter_00 import house_price
from calclib.explorer.chapter_01 import secant_to_tangent
from calclib.explorer.chapter_02 import compass
from calclib.explorer.chapter_03 import learning_rate_dial
from calclib.explorer.chapter_04 import eigen_bars, newton_beside_descent
from calclib.explorer.chapter_05 import tape_stepper
from calclib.explorer.chapter_06 import network_under_your_hands, training_run
from calclib.explorer.chapter_07 import race
from calclib.explorer.chapter_08 import depth_map
from calclib.explorer.chapter_09 import noise_ball
from calclib.explorer.scene import (
    Arrow,
    Bars,
    Handle,
    Panel,
    Path,
    Points,
    Scene,
    Slider,
    Text,
    switch,
)
from calclib.explorer.widget import Explorer

NAMED = (
    house_price,
    secant_to_tangent,
    compass,
    learning_rate_dial,
    eigen_bars,
    newton_beside_descent,
    tape_stepper,
    network_under_your_hands,
    training_run,
    race,
    depth_map,
    noise_ball,
)

__all__ = [
    "NAMED",
    "Arrow",
    "Bars",
    "Explorer",
    "Handle",
    "Panel",
    "Path",
    "Points",
    "Scene",
    "Slider",
    "Text",
    "compass",
    "depth_map",
    "eigen_bars",
    "house_price",
    "learning_rate_dial",
    "network_under_your_hands",
    "newton_beside_descent",
    "noise_ball",
    "race",
    "secant_to_tangent",
    "switch",
    "tape_stepper",
    "training_run",
]
