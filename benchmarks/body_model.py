"""Our SMPL beside smplx 0.1.28: are they equal, and how fast is each?

    python benchmarks/body_model.py

On a random body with SMPL's 6,890 vertices and on the neutral open body. Vertices, keypoints and
gradients are compared first; then both take turns (measure.py). Keypoints are smpl_24 and
openpose_25 together: ours are computed without the mesh, smplx builds the mesh and picks the same
points. "fwd" is without gradients; "fwd+bwd" takes gradients to betas, rotations and translation.

Both sides get the same rotations, once as axis-angle, which ours turns into matrices with
``axis_angle_to_matrix`` and smplx by itself, and once as matrices, which smplx takes with
``pose2rot=False``. A target must be met in both. In float64 the two differ by 1e-7 m, since ours
keeps the model file in float32.

What it printed last: benchmarks/results/body_model.txt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from measure import Times, in_turns, print_table, under_both_allocators
from torch import Tensor

from tests.random_body import as_smplx, random_model
from vhlib.body import SMPL
from vhlib.body.model_files import BodyModelData, find_model, read_model
from vhlib.body.skeletons import SMPLX_45, get_skeleton
from vhlib.geometry import axis_angle_to_matrix

BATCHES = (1, 16, 64, 256)
ROUNDS = {1: 15, 16: 15, 64: 9, 256: 5}
SKELETONS = ("smpl_24", "openpose_25")
TARGETS = {
    "mesh fwd": (1.4, 1.4, 1.4, 1.4),
    "mesh fwd+bwd": (1.2, 1.2, 1.2, 1.2),
    "keypoints fwd": (7, 10, 15, 20),
    "keypoints fwd+bwd": (4, 9, 15, 20),
}
"""Times faster than smplx, by batch size."""

Parameters = dict[str, Tensor]
"""betas (B, 10), rotations (B, 24, 3) or (B, 24, 3, 3), transl (B, 3)."""
Points = Callable[[Parameters], Tensor]


@dataclass(frozen=True)
class Peers:
    """The same body twice, each as functions from parameters to points."""

    ours: SMPL
    theirs: torch.nn.Module
    axis_angle: bool

    @classmethod
    def of(cls, data: BodyModelData, axis_angle: bool, dtype: torch.dtype) -> Peers:
        """Both from the same data."""
        return cls(SMPL(data).to(dtype), as_smplx(data, dtype).to(dtype), axis_angle)

    def mesh(self) -> dict[str, Points]:
        """Vertices (B, V, 3)."""
        return {
            "ours": lambda p: self.ours(**self._our_arguments(p)).vertices,
            "smplx": lambda p: self._smplx(p).vertices,
        }

    def keypoints(self) -> dict[str, Points]:
        """The points of SKELETONS, (B, 49, 3)."""
        picked = torch.tensor(smplx_joints())
        return {
            "ours": lambda p: self.ours.keypoints(SKELETONS, **self._our_arguments(p)),
            "smplx": lambda p: self._smplx(p).joints[:, picked],
        }

    def _our_arguments(self, p: Parameters) -> Parameters:
        rotations = axis_angle_to_matrix(p["rotations"]) if self.axis_angle else p["rotations"]
        return {
            "betas": p["betas"],
            "body_pose": rotations[:, 1:],
            "global_orient": rotations[:, 0],
            "transl": p["transl"],
        }

    def _smplx(self, p: Parameters):
        rotations = p["rotations"].flatten(1) if self.axis_angle else p["rotations"]
        root = 3 if self.axis_angle else 1
        return self.theirs(
            betas=p["betas"],
            body_pose=rotations[:, root:],
            global_orient=rotations[:, :root],
            transl=p["transl"],
            pose2rot=self.axis_angle,
        )


def smplx_joints() -> list[int]:
    """Where smplx's 45 joints hold the points of SKELETONS, each of which is one of them."""
    sources = [source for name in SKELETONS for source in get_skeleton(name).points.values()]
    known = {next(iter(source)): index for index, source in enumerate(SMPLX_45.points.values())}
    return [known[name] for source in sources for name in source]


def parameters(batch: int, axis_angle: bool, dtype: torch.dtype = torch.float32) -> Parameters:
    g = torch.Generator().manual_seed(batch)
    drawn = {
        "betas": torch.randn(batch, 10, generator=g, dtype=torch.float64),
        "rotations": 0.5 * torch.randn(batch, 24, 3, generator=g, dtype=torch.float64),
        "transl": torch.randn(batch, 3, generator=g, dtype=torch.float64),
    }
    if not axis_angle:
        drawn["rotations"] = axis_angle_to_matrix(drawn["rotations"])
    return {name: value.to(dtype) for name, value in drawn.items()}


def forward(points: Points, p: Parameters) -> Tensor:
    with torch.no_grad():
        return points(p)


def gradients(points: Points, p: Parameters, weight: Tensor) -> list[Tensor]:
    """Of a weighted sum of coordinates, to each parameter."""
    leaves = {name: value.detach().requires_grad_() for name, value in p.items()}
    found = points(leaves)
    return list(torch.autograd.grad(found, list(leaves.values()), weight))


def differences(data: BodyModelData, axis_angle: bool, dtype: torch.dtype) -> list[str]:
    """Largest difference of vertices and keypoints, metres; of gradients, relative."""
    peers, p = Peers.of(data, axis_angle, dtype), parameters(16, axis_angle, dtype)
    cells = []
    for points in (peers.mesh(), peers.keypoints()):
        ours, theirs = (forward(points[name], p) for name in ("ours", "smplx"))
        weight = torch.randn(ours.shape, generator=torch.Generator().manual_seed(0)).to(dtype)
        pairs = zip(*(gradients(points[name], p, weight) for name in points), strict=True)
        relative = max(float((a - b).norm() / b.norm()) for a, b in pairs)
        cells += [f"{float((ours - theirs).abs().max()):.1e}", f"{relative:.1e}"]
    return cells


def timings(peers: Peers) -> Iterator[tuple[str, list[Times]]]:
    """For each line of TARGETS, the times at each batch size."""
    for what, points in (("mesh", peers.mesh()), ("keypoints", peers.keypoints())):
        yield f"{what} fwd", [time_forward(points, peers.axis_angle, b) for b in BATCHES]
        yield f"{what} fwd+bwd", [time_backward(points, peers.axis_angle, b) for b in BATCHES]


def time_forward(points: dict[str, Points], axis_angle: bool, batch: int) -> Times:
    p = parameters(batch, axis_angle)
    calls = {name: lambda f=f: forward(f, p) for name, f in points.items()}
    return in_turns(calls, ROUNDS[batch])


def time_backward(points: dict[str, Points], axis_angle: bool, batch: int) -> Times:
    p = parameters(batch, axis_angle)
    weight = torch.ones_like(forward(points["ours"], p))
    calls = {name: lambda f=f: gradients(f, p, weight) for name, f in points.items()}
    return in_turns(calls, ROUNDS[batch])


def report(name: str, data: BodyModelData) -> None:
    for axis_angle in (True, False):
        kind = "axis-angle" if axis_angle else "matrices"
        rows = []
        for what, times in timings(Peers.of(data, axis_angle, torch.float32)):
            ratios = [t.ratio("smplx", "ours") for t in times]
            rows.append([f"{what}, ours, ms", *(f"{t.milliseconds('ours'):.3f}" for t in times)])
            rows.append(["  smplx, ms", *(f"{t.milliseconds('smplx'):.3f}" for t in times)])
            rows.append(["  times faster", *(f"{ratio:.2f}" for ratio in ratios)])
            verdicts = zip(ratios, TARGETS[what], strict=True)
            cells = (f"{aim:g} {'met' if ratio >= aim else 'MISSED'}" for ratio, aim in verdicts)
            rows.append(["  target", *cells])
        header = [f"rotations as {kind}", *(f"B={batch}" for batch in BATCHES)]
        print_table(f"{name}, {data.num_vertices} vertices", header, rows)


def report_differences(bodies: dict[str, BodyModelData]) -> None:
    rows = [
        [f"{name}, {kind}, {str(dtype)[6:]}", *differences(data, kind == "axis-angle", dtype)]
        for name, data in bodies.items()
        for kind in ("axis-angle", "matrices")
        for dtype in (torch.float32, torch.float64)
    ]
    header = ["", "vertices", "their gradient", "keypoints", "their gradient"]
    print_table("Largest differences (metres; gradients relative)", header, rows)


def main() -> None:
    bodies = {"random": random_model(), "neutral": read_model(find_model("neutral"))}
    report_differences(bodies)
    for name, data in bodies.items():
        report(name, data)


if __name__ == "__main__":
    under_both_allocators(main)
