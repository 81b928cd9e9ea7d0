"""From a photo to a body and its pictures: what ``vh fit`` and notebook 00 share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from vhlib.body import SMPL, BodyParameters, Keypoints
from vhlib.body.keypoints import read_openpose_json, select_person
from vhlib.data.detection import detect_people
from vhlib.data.photos import Photo, read_photo
from vhlib.files import write_folder_atomically
from vhlib.fitting import Fit, fit_smplify
from vhlib.geometry import PerspectiveCamera
from vhlib.geometry.camera_estimates import focal_from_35mm, focal_from_diagonal
from vhlib.geometry.rasterizer import NEAR
from vhlib.geometry.rendering import overlay, render_shaded

# Below this confidence a keypoint tells little about how well a body fits.
CLEARLY_SEEN = 0.3
# Focal lengths over the frame's diagonal: 157 degrees of view across it, and half a degree.
PLAUSIBLE_FOCAL = (0.1, 100.0)
# People down to this share of the longer side are looked for beside larger ones, in a tenth of a
# second; smaller ones only where nobody else is.
MIN_HEIGHT = 0.3
OUTPUTS = ("overlay.png", "mesh.ply", "fit.npz")


def camera_of(photo: Photo, focal: float | None = None) -> tuple[PerspectiveCamera, str]:
    """The camera that most likely took a photo, and where its focal length comes from.

    ``focal`` in pixels if it is known, else EXIF's, else the frame's diagonal. The principal point
    is the middle of the picture. Raises ValueError if no lens could have that ``focal``.
    """
    if focal is not None:
        check_focal(focal, photo.size)
        pixels, source = focal, "as given"
    elif photo.focal_35mm:
        pixels, source = focal_from_35mm(photo.focal_35mm, photo.size), "from EXIF"
    else:
        pixels = focal_from_diagonal(photo.size)
        source = "guessed: the frame's diagonal; give --focal PX if you know it"
    width, height = photo.size
    camera = PerspectiveCamera((pixels, pixels), (width / 2, height / 2), photo.size)
    return camera, f"focal length {pixels:.0f} px ({source})"


def check_focal(focal: float, size: tuple[int, int]) -> None:
    """Raises ValueError unless a lens between fisheye and telescope has ``focal`` pixels."""
    low, high = (round(limit * focal_from_diagonal(size)) for limit in PLAUSIBLE_FOCAL)
    if not low <= focal <= high:
        raise ValueError(
            f"a focal length of {focal:g} pixels isn't plausible for a {size[0]} x {size[1]} "
            f"picture, expected {low} to {high}; for a lens of f mm (35-mm equivalent) it is "
            f"{focal_from_35mm(1.0, size):.1f} f"
        )


def choose_person(people: Keypoints, person: int | None = None) -> tuple[Keypoints, str]:
    """One of the detected people, and a word on how they were chosen; see ``select_person``."""
    index, count = select_person(people, person), len(people)
    if count == 1:
        how = "the only one"
    elif person is None:
        how = f"the largest confident one of {count}; --person N takes another, 0 to {count - 1}"
    else:
        how = f"as asked, of {count}"
    return people[index], f"person {index} ({how})"


def check_in_frame(keypoints: Keypoints, size: tuple[int, int]) -> None:
    """Raises ValueError unless the seen keypoints have an extent and one lies in the picture."""
    if keypoints.height(threshold=0.0) == 0:
        raise ValueError("all seen keypoints lie in one place, which is no person")
    inside = ((keypoints.xy >= 0) & (keypoints.xy <= torch.tensor(size))).all(-1)
    if not (inside & (keypoints.confidence > 0)).any():
        raise ValueError(
            f"all keypoints lie outside the {size[0]} x {size[1]} picture; are they of another one?"
        )


def read_person(
    path: Path, skeleton: str, person: int | None, size: tuple[int, int]
) -> tuple[Keypoints, str]:
    """The person to fit from an OpenPose file, and a word on how they were chosen.

    Raises:
        ValueError, OSError: one line with the file's name.
    """
    people = read_openpose_json(path, skeleton)
    try:
        chosen, how = choose_person(people, person)
        check_in_frame(chosen, size)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return chosen, how


def find_person(image: Path, photo: Photo, person: int | None) -> tuple[Keypoints, str]:
    """The person to fit as our own detector sees them, and a word on how they were chosen.

    Raises:
        ValueError: nobody is found, or not that many; one line with the file's name.
        OSError: the detector isn't installed or can't be fetched.
    """
    people = detect_people(photo.pixels, min_height=MIN_HEIGHT)
    if len(people) == 0:
        people = detect_people(photo.pixels)
    if len(people) == 0:
        raise ValueError(
            f"{image}: the detector finds nobody; a whole person, not too small, is easiest to find"
        )
    try:
        chosen, how = choose_person(people.keypoints, person)
    except ValueError as error:
        raise ValueError(f"{image}: {error}") from None
    return chosen, f"{how}, found by BlazePose on this machine: the photo goes nowhere"


def load_model(model: str | Path, skeleton: str) -> SMPL:
    """A shipped or own body that has the skeleton's points; ValueError names the model if not."""
    smpl = SMPL.load(model)
    try:
        smpl.keypoint_regressor(skeleton)
    except ValueError as error:
        raise ValueError(f"{model}: {error}") from None
    return smpl


def draw_overlay(
    photo: Photo, smpl: SMPL, camera: PerspectiveCamera, parameters: BodyParameters
) -> UInt8[np.ndarray, "H W 3"]:
    """The body over the photo it was fitted to."""
    with torch.no_grad():
        vertices = smpl(**vars(parameters)).vertices
    left, top, right, bottom = visible_box(vertices, camera)
    pixels = photo.pixels.copy()
    if left < right and top < bottom:
        window = replace(
            camera,
            principal_point=camera.principal_point - torch.tensor([left, top]),
            image_size=(right - left, bottom - top),
        )
        part = torch.from_numpy(pixels[top:bottom, left:right])
        body = render_shaded(vertices, smpl.faces, window)
        pixels[top:bottom, left:right] = overlay(part, body).numpy()
    return pixels


def visible_box(
    vertices: Float[Tensor, "V 3"], camera: PerspectiveCamera
) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the pixels that a mesh can cover: a large photo is mostly not it.

    Empty, with right <= left or bottom <= top, if the mesh is out of sight.
    """
    before = vertices[camera.world_to_camera(vertices)[:, 2] > NEAR]
    if not len(before):
        return 0, 0, 0, 0
    xy = camera.project(before)
    limits = torch.tensor(camera.image_size)
    corners = torch.stack([xy.amin(0).floor(), xy.amax(0).ceil()]).clamp(min=0).minimum(limits)
    return tuple(corners.long().flatten().tolist())


@dataclass(frozen=True, eq=False)
class PhotoFit:
    """A fitted photo: what went in, what came out, and remarks for a person to read."""

    photo: Photo
    smpl: SMPL
    camera: PerspectiveCamera
    keypoints: Keypoints
    fit: Fit
    remarks: tuple[str, ...]

    def overlay(self) -> UInt8[np.ndarray, "H W 3"]:
        """The body over the photo."""
        return draw_overlay(self.photo, self.smpl, self.camera, self.fit.body_parameters)


def fit_photo(
    image: str | Path,
    *,
    keypoints: Path | None = None,
    skeleton: str = "openpose_25",
    person: int | None = None,
    focal: float | None = None,
    model: str | Path = "neutral",
) -> PhotoFit:
    """Fit a body to a photo.

    The keypoints come from an OpenPose file if there is one, else from our own detector, which runs
    on this machine.

    Args:
        image: the photo's file.
        keypoints: OpenPose's JSON; ``skeleton`` says which points it holds.
        person: which of several, counted from 0; the largest confident one if left out.
        focal: pixels; EXIF's or the frame's diagonal if left out.
        model: "neutral", "female", "male" or the path of a SMPL-format file.

    Raises:
        ValueError, OSError: one line that names what is wrong with the input.
    """
    image = Path(image)
    photo = read_photo(image)
    camera, which = camera_of(photo, focal)
    if keypoints is None:
        chosen, who = find_person(image, photo, person)
    else:
        chosen, who = read_person(keypoints, skeleton, person, photo.size)
    smpl = load_model(model, chosen.skeleton)
    try:
        fit = fit_smplify(smpl, camera, chosen)
    except ValueError as error:
        raise ValueError(f"{keypoints or image}: {error}") from None
    if not fit.energy.isfinite():
        raise ValueError(f"no body fits {keypoints or image}: the energy is {float(fit.energy)}")
    return PhotoFit(photo, smpl, camera, chosen, fit, (who, which))


def fit_photo_command(image: Path, *, out: Path = Path("out"), **options) -> str:
    """``vh fit``: write overlay.png, mesh.ply and fit.npz to ``out``; return what to print.

    Raises as ``fit_photo``, which takes the ``options``; nothing is written then.
    """
    result = fit_photo(image, **options)
    write_outputs(out, result)
    lines = [*result.remarks, *energy_lines(result.fit)]
    lines.append(distance_line(result.fit, result.keypoints))
    return "\n".join([*lines, f"wrote {', '.join(OUTPUTS)} to {out}"])


def energy_lines(fit: Fit) -> list[str]:
    """The energy by term, for a person to read."""
    terms = [f"  {name:13} {float(value):10.1f}" for name, value in fit.energy_terms.items()]
    return [f"energy          {float(fit.energy):8.1f}", *terms]


def distance_line(fit: Fit, keypoints: Keypoints) -> str:
    """How far the fitted body's points lie from the clearly seen keypoints."""
    seen = keypoints.confidence > CLEARLY_SEEN
    if not seen.any():
        return f"no keypoint has a confidence above {CLEARLY_SEEN}"
    distances = (fit.projected_keypoints - keypoints.xy).norm(dim=-1)[seen]
    return (
        f"median distance {float(distances.median()):.1f} px over the {len(distances)} keypoints "
        f"with a confidence above {CLEARLY_SEEN}; the person is {float(keypoints.height()):.0f} px "
        f"large"
    )


def write_outputs(out: Path, result: PhotoFit) -> None:
    """All three files, or none."""
    import trimesh  # brings scipy.spatial, half a second that nothing else here needs

    camera, parameters = result.camera, result.fit.body_parameters
    with torch.no_grad():
        vertices = result.smpl(**vars(parameters)).vertices
    values = {
        **{name: value.numpy() for name, value in vars(parameters).items()},
        "focal_length": camera.focal_length.numpy(),
        "principal_point": camera.principal_point.numpy(),
        "image_size": np.array(camera.image_size),
        "skeleton": np.array(result.keypoints.skeleton),
        "projected_keypoints": result.fit.projected_keypoints.numpy(),
    }
    mesh = trimesh.Trimesh(vertices.numpy(), result.smpl.faces.numpy(), process=False)
    with write_folder_atomically(out) as folder:
        Image.fromarray(result.overlay()).save(folder / "overlay.png")
        mesh.export(folder / "mesh.ply")
        np.savez(folder / "fit.npz", **values)
