"""Where the seconds of ``vh fit PHOTO`` go, from the shell's prompt to the files.

    python benchmarks/vh_fit.py [PHOTO]

The whole command as a process of its own, median of five with warm file caches (wall and CPU), then
each part once in this process. Without PHOTO, a frame of the real clip.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RUNS = 5


def children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def command(photo: Path, out: Path) -> tuple[float, float]:
    """Wall and CPU seconds of one ``vh fit``."""
    wall, cpu = time.perf_counter(), children_cpu()
    arguments = [sys.executable, "-m", "vhlib.cli", "fit", str(photo), "--out", str(out)]
    subprocess.run(arguments, check=True, capture_output=True)
    return time.perf_counter() - wall, children_cpu() - cpu


@contextmanager
def part(name: str) -> Iterator[None]:
    """Print what the block took."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"  {name:42} {wall:6.2f} s wall  {cpu:6.2f} s CPU", flush=True)


def report_parts(photo: Path, out: Path) -> None:
    with part("import torch"):
        import torch  # noqa: F401
    with part("import the rest of vhlib.pipelines.photo"):
        from vhlib.data.detection import load_networks
        from vhlib.pipelines import photo as pipeline
    with part("load the detector's networks"):
        load_networks()
    with part("read the photo"):
        read = pipeline.read_photo(photo)
    with part("detect"):
        keypoints, _ = pipeline.find_person(photo, read, None)
    with part("load the body and its keypoints"):
        smpl = pipeline.load_model("neutral", keypoints.skeleton)
    camera, remark = pipeline.camera_of(read)
    with part("fit"):
        fit = pipeline.fit_smplify(smpl, camera, keypoints)
    result = pipeline.PhotoFit(read, smpl, camera, keypoints, fit, (remark,))
    with part("draw the overlay"):
        result.overlay()
    with part("draw again and write the three files"):
        pipeline.write_outputs(out, result)


def example(folder: Path) -> Path:
    """A frame of the real clip as a file, made by another process to leave this one cold."""
    path = folder / "frame.png"
    script = (
        "import sys; from PIL import Image; from vhlib.data import four_cameras;"
        "Image.fromarray(four_cameras.load().frame(1, 60)).save(sys.argv[1])"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)
    return path


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photo = Path(sys.argv[1]) if len(sys.argv) > 1 else example(folder)
        command(photo, folder / "out")
        wall, cpu = zip(*(command(photo, folder / "out") for _ in range(RUNS)), strict=True)
        median = sorted(wall)[RUNS // 2], sorted(cpu)[RUNS // 2]
        print(f"vh fit, median of {RUNS}: {median[0]:.2f} s wall, {median[1]:.2f} s CPU")
        report_parts(photo, folder / "parts")


if __name__ == "__main__":
    main()
