"""From a photo with keypoints to a body and its pictures: ``vh fit`` and notebook 00 share it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import trimesh
from jaxtyping import UInt8
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from vhlib.body import SMPL, BodyParameters, Keypoints
from vhlib.body.keypoints import read_openpose_json, select_person
from vhlib.files import write_folder_atomically
from vhlib.fitting import Fit, fit_smplify
from vhlib.geometry import PerspectiveCamera
from vhlib.geometry.camera_estimates import focal_from_35mm, focal_from_diagonal
from vhlib.geometry.rendering import overlay, render_shaded

OUTPUTS = ("overlay.png", "mesh.ply", "fit.npz")


@dataclass(frozen=True, eq=False)
class Photo:
    """Pixels (H, W, 3), upright, and EXIF's 35-mm equivalent focal length if the file has one."""

    pixels: UInt8[np.ndarray, "H W 3"]
    focal_35mm: float | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.pixels.shape[1], self.pixels.shape[0]


def read_photo(path: str | Path) -> Photo:
    """A picture as RGB, turned upright as its EXIF orientation says.

    Raises:
        ValueError: not a picture, or damaged; one line with the file's name.
        OSError: can't be read.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, expected a picture")
    if not path.exists():
        raise FileNotFoundError(f"{path} doesn't exist, expected a picture")
    try:
        with Image.open(path) as image:
            focal = (
                image.getexif().get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.FocalLengthIn35mmFilm)
            )
            pixels = np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except UnidentifiedImageError:
        raise ValueError(
            f"{path} isn't a picture that Pillow can read, such as JPEG or PNG"
        ) from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} can't be read as a picture: {error}") from None
    return Photo(pixels, float(focal) if focal else None)


def camera_of(photo: Photo, focal: float | None = None) -> tuple[PerspectiveCamera, str]:
    """The camera that most likely took a photo, and where its focal length comes from.

    ``focal`` in pixels if it is known, else EXIF's, else the frame's diagonal. The principal point
    is the middle of the picture. Raises ValueError if ``focal`` isn't positive.
    """
    if focal is not None:
        pixels, source = focal, "as given"
    elif photo.focal_35mm:
        pixels, source = focal_from_35mm(photo.focal_35mm, photo.size), "from EXIF"
    else:
        pixels, source = focal_from_diagonal(photo.size), "guessed: the frame's diagonal"
    width, height = photo.size
    camera = PerspectiveCamera((pixels, pixels), (width / 2, height / 2), photo.size)
    return camera, f"focal length {pixels:.0f} px ({source})"


def choose_person(people: Keypoints, person: int | None) -> tuple[Keypoints, str]:
    """One of the detected people, and a word on how they were chosen; see ``select_person``."""
    index = select_person(people, person)
    how = "the largest confident one" if person is None else "as asked"
    return people[index], f"person {index} of {len(people)}, {how}"


def check_in_frame(keypoints: Keypoints, size: tuple[int, int]) -> None:
    """Raises ValueError unless some seen keypoint lies in the picture."""
    inside = ((keypoints.xy >= 0) & (keypoints.xy <= torch.tensor(size))).all(-1)
    if not (inside & (keypoints.confidence > 0)).any():
        raise ValueError(
            f"all keypoints lie outside the {size[0]} x {size[1]} picture; are they of another one?"
        )


def draw_overlay(
    photo: Photo, smpl: SMPL, camera: PerspectiveCamera, parameters: BodyParameters
) -> UInt8[np.ndarray, "H W 3"]:
    """The body over the photo it was fitted to."""
    with torch.no_grad():
        vertices = smpl(**vars(parameters)).vertices
    picture = render_shaded(vertices, smpl.faces, camera)
    return overlay(torch.from_numpy(photo.pixels), picture).numpy()


def fit_photo_command(
    image: Path,
    *,
    keypoints: Path | None,
    skeleton: str = "openpose_25",
    person: int | None = None,
    focal: float | None = None,
    model: str | Path = "neutral",
    out: Path = Path("out"),
) -> str:
    """``vh fit``: write overlay.png, mesh.ply and fit.npz to ``out``; return what to print.

    Raises:
        ValueError, OSError: one line that names what is wrong with the input; nothing is written.
    """
    photo = read_photo(image)
    if keypoints is None:
        raise ValueError(f"no keypoints for {image}: give an OpenPose file with --keypoints FILE")
    chosen, who = choose_person(read_openpose_json(keypoints, skeleton), person)
    check_in_frame(chosen, photo.size)
    camera, which = camera_of(photo, focal)
    smpl = SMPL.load(model)
    fit = fit_smplify(smpl, camera, chosen)
    write_outputs(out, photo, smpl, camera, chosen, fit)
    return "\n".join([who, which, *energy_lines(fit), f"wrote {', '.join(OUTPUTS)} to {out}"])


def energy_lines(fit: Fit) -> list[str]:
    """The energy by term, for a person to read."""
    terms = [f"  {name:13} {float(value):10.1f}" for name, value in fit.energy_terms.items()]
    return [f"energy          {float(fit.energy):8.1f}", *terms]


def write_outputs(
    out: Path, photo: Photo, smpl: SMPL, camera: PerspectiveCamera, keypoints: Keypoints, fit: Fit
) -> None:
    """All three files, or none."""
    parameters = fit.body_parameters
    with torch.no_grad():
        vertices = smpl(**vars(parameters)).vertices
    values = {
        **{name: value.numpy() for name, value in vars(parameters).items()},
        "focal_length": camera.focal_length.numpy(),
        "principal_point": camera.principal_point.numpy(),
        "image_size": np.array(camera.image_size),
        "skeleton": np.array(keypoints.skeleton),
        "projected_keypoints": fit.projected_keypoints.numpy(),
    }
    mesh = trimesh.Trimesh(vertices.numpy(), smpl.faces.numpy(), process=False)
    with write_folder_atomically(out) as folder:
        Image.fromarray(draw_overlay(photo, smpl, camera, parameters)).save(folder / "overlay.png")
        mesh.export(folder / "mesh.ply")
        np.savez(folder / "fit.npz", **values)
