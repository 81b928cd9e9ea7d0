"""Curves of priors: what a bend costs, what two spheres cost."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from vhlib.notebook.palette import STYLE, look

# Of a sphere's radius: where the bump of the collision term has fallen by a factor of e.
SIGMA = 0.3


def hinge_figure(weights: Mapping[str, float], largest: float = 1.2) -> Figure:
    """What one knee or elbow costs against its bend in degrees, for weights of the residual."""
    bend = np.linspace(-0.5 * largest, largest, 200)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
        for number, (name, weight) in enumerate(weights.items()):
            cost = (weight * np.exp(-bend)) ** 2
            axes.plot(np.rad2deg(bend), cost, **look(number), linewidth=3, markevery=33, label=name)
        axes.axvline(0.0, color="black", linewidth=1)
        axes.annotate(
            "straight",
            (0, 0.97),
            (6, -4),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            va="top",
        )
        axes.set(
            xlabel="natural bend in degrees", ylabel="cost $(w\\,e^{-\\theta})^2$", ylim=(0, 500)
        )
        axes.legend(frameon=False, title="weight $w$")
    return figure


def bump_figure() -> Figure:
    """What two equal spheres cost against the distance of their centres, plain and logarithmic."""
    radii = np.linspace(0.0, 3.0, 200)
    bump = np.exp(-(radii**2) / (2 * SIGMA**2))
    with plt.rc_context(STYLE):
        figure, (plain, logarithmic) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
        for axes in (plain, logarithmic):
            axes.plot(radii, bump, color=look(1)["color"], linewidth=3)
            axes.axvline(2.0, color="black", linestyle=":", linewidth=1.5)
            axes.set(xlabel="distance of centres in radii")
        plain.annotate("they just touch", (2.05, 0.9))
        plain.set_ylabel("cost")
        logarithmic.set_yscale("log")
        logarithmic.set_ylabel("the same, logarithmic")
    return figure
