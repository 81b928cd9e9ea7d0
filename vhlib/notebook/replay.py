"""A fit on its way: what it had found after each few steps of each stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from vhlib.fitting import Fit, Stage


@dataclass(frozen=True, eq=False)
class Moment:
    """What had been found after ``step`` steps of a stage."""

    stage: str
    step: int
    fit: Fit

    @property
    def name(self) -> str:
        """For a reader."""
        return f"{self.stage}, step {self.step}"


def replay(
    fit: Callable[[Sequence[Stage]], Fit], schedule: Sequence[Stage], every: int = 2
) -> list[Moment]:
    """The moments of ``fit(schedule)``: its start, every few steps, the end of each stage.

        run = lambda stages: fit_smplify(smpl, camera, keypoints, schedule=stages)
        moments = replay(run, COLD_START)
        step_through(lambda i: picture_of(moments[i].fit), [m.name for m in moments], alt="...")

    The schedule is run again and again, each time a little further: solvers repeat themselves. Of
    several candidates a moment shows the one that is best by then.
    """
    moments = [Moment(schedule[0].name, 0, fit([replace(schedule[0], iterations=0)]))]
    for number, stage in enumerate(schedule):
        before, step, taken = list(schedule[:number]), 0, None
        while step < stage.iterations:
            step = min(step + every, stage.iterations)
            now = fit([*before, replace(stage, iterations=step)])
            already, taken = taken, int(now.history[-1].iterations.max())
            if taken != already:
                moments.append(Moment(stage.name, taken, now))
            if taken < step:
                break
    return moments
