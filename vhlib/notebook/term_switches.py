"""What a checkbox for each term of the energy does to a schedule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vhlib.fitting import Stage


def switched(schedule: Sequence[Stage], **on: bool) -> list[Stage]:
    """The schedule without the terms that are off; a stage that has no other is left out.

        def draw(**on: bool) -> Figure:
            fit = fit_smplify(smpl, camera, keypoints, schedule=switched(COLD_START, **on))
            ...

        explore(draw, alt="...", **switches("pose_prior", "bending", "shape_prior"))

    Terms that aren't named stay as they are. Raises ValueError if a name is in no stage.
    """
    weighed = {name for stage in schedule for name in stage.weights}
    strangers = [name for name in on if name not in weighed]
    if strangers:
        raise ValueError(
            f"no stage weighs {', '.join(strangers)}, the terms are {', '.join(sorted(weighed))}"
        )
    stages = []
    for stage in schedule:
        kept = {name: weight for name, weight in stage.weights.items() if on.get(name, True)}
        if kept:
            best_by, optional = (
                tuple(name for name in names if name in kept)
                for names in (stage.best_by, stage.optional)
            )
            stages.append(replace(stage, weights=kept, best_by=best_by, optional=optional))
    return stages
