"""A body that moves under the reader's hand: evaluated in the page, driven from both sides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from anywidget import AnyWidget
from ipywidgets import widget_serialization
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from traitlets import Bool, Bytes, Dict, Instance, Int, List, TraitError, TraitType, Unicode
from traitlets import Float as FloatTrait

from vhlib.body import SMPL, BodyParameters
from vhlib.data.mocap import MotionSequence
from vhlib.geometry import axis_angle_to_matrix, matrix_to_axis_angle
from vhlib.notebook.body_figures import small_picture
from vhlib.notebook.controls import display_widget
from vhlib.notebook.figures import JPEG_QUALITY, require_words
from vhlib.notebook.viewer_data import pack_body

Numbers = Tensor | np.ndarray | list | tuple


class Vector(TraitType):
    """Some finite numbers, kept as a tuple: ``viewer.betas[0] = 1`` fails instead of doing nothing.

    Takes tensors, arrays and lists of any shape with as many numbers as the first value had.
    """

    def __init__(self, **options: object):
        super().__init__((), **options)
        # A list on the wire, as the page sends it: else every update would come back as a change.
        self.tag(sync=True, to_json=lambda value, _widget: list(value))

    def validate(self, viewer: BodyViewer, value: Numbers) -> tuple[float, ...]:
        """The numbers, or a TraitError that says how many are expected."""
        numbers = np.asarray(value, dtype=np.float64).ravel()
        expected = viewer.sizes[self.name]
        if numbers.size != expected or not np.isfinite(numbers).all():
            raise TraitError(
                f"{self.name} takes {expected} finite numbers, got {tuple(np.shape(value))}"
            )
        return tuple(numbers.tolist())


class BodyData(AnyWidget):
    """A packed model; sent once, however many viewers show it."""

    _esm = "export default { render() {} }"
    header = Dict().tag(sync=True)
    data = Bytes().tag(sync=True)


class BodyViewer(AnyWidget):
    """A body to look at from all sides, with sliders for its shape and joints.

        viewer = BodyViewer(smpl, alt="The mean body at rest.", skeleton=True)
        viewer.show()
        viewer.betas = [2, 0, 0, 0, 0, 0, 0, 0, 0, 0]

    ``betas`` (S,), ``body_pose`` ((J-1) * 3,), ``global_orient`` (3,) and ``transl`` (3,) follow
    what is done in the page, and the page follows them. Rotations are **axis-angle** vectors here,
    not matrices, since they are numbers to be seen and slid.

    Args:
        smpl: the body; any number of vertices, joints and betas.
        alt: what the first picture shows, in words.
        second: a body to compare with, see-through.
        options: any trait: ``betas``, ..., ``skeleton``, ``frames``, ``wireframe``, ``weights`` (of
            the chosen ``joint``), ``correctives``, ``controls``, ``height`` in pixels.

    Raises:
        ValueError: ``alt`` says nothing. traitlets.TraitError: values that don't fit the body.
    """

    _esm = Path(__file__).with_suffix(".js")
    _css = Path(__file__).with_suffix(".css")
    body = Instance(BodyData).tag(sync=True, **widget_serialization)
    betas, body_pose, global_orient, transl = Vector(), Vector(), Vector(), Vector()
    correctives, controls = Bool(True).tag(sync=True), Bool(True).tag(sync=True)
    skeleton, frames = Bool(False).tag(sync=True), Bool(False).tag(sync=True)
    wireframe, weights = Bool(False).tag(sync=True), Bool(False).tag(sync=True)
    joint, height = Int(-1).tag(sync=True), Int(440).tag(sync=True)
    values, value_range = Bytes(b"").tag(sync=True), List([0.0, 1.0]).tag(sync=True)
    value_label = Unicode("").tag(sync=True)
    second = Dict(allow_none=True, default_value=None).tag(sync=True)
    motion, fps = Bytes(b"").tag(sync=True), FloatTrait(30.0).tag(sync=True)
    frame = Int(0).tag(sync=True)
    still, alt = Bytes(b"").tag(sync=True), Unicode("").tag(sync=True)

    def __init__(
        self, smpl: SMPL, alt: str, second: BodyParameters | None = None, **options: object
    ):
        require_words(alt)
        joints = len(smpl.parents)
        self.smpl = smpl
        self.sizes = {
            "betas": smpl.num_betas,
            "body_pose": 3 * (joints - 1),
            "global_orient": 3,
            "transl": 3,
        }
        self._asked: dict[int, Callable[[Tensor], None]] = {}
        zeros = {name: (0.0,) * size for name, size in self.sizes.items()}
        super().__init__(body=shared_data(smpl), alt=alt, **{**zeros, **options})
        if second is not None:
            self.second = axis_angle_state(second)
        self.on_msg(self._received)

    @classmethod
    def of(cls, smpl: SMPL, parameters: BodyParameters, alt: str, **options: object) -> BodyViewer:
        """A viewer of one body given by rotation matrices."""
        return cls(smpl, alt, **axis_angle_state(parameters), **options)

    @property
    def parameters(self) -> BodyParameters:
        """The body as it is now, rotations as matrices."""
        pose = torch.tensor(self.body_pose).view(-1, 3)
        return BodyParameters(
            betas=torch.tensor(self.betas),
            body_pose=axis_angle_to_matrix(pose),
            global_orient=axis_angle_to_matrix(torch.tensor(self.global_orient)),
            transl=torch.tensor(self.transl),
        )

    def color(
        self, values: Float[Tensor, " V"], label: str, limits: tuple[float, float] | None = None
    ) -> None:
        """Colour the vertices by numbers (NaN: the skin's colour), with a bar named ``label``.

        limits: the ends of the colour scale; the least and the largest number if left out.
        """
        numbers = np.asarray(values, dtype="<f4")
        if numbers.shape != (len(self.smpl.v_template),):
            expected = len(self.smpl.v_template)
            raise ValueError(f"values of {expected} vertices expected, got {numbers.shape}")
        low, high = limits or (float(np.nanmin(numbers)), float(np.nanmax(numbers)))
        with self.hold_sync():
            self.value_range, self.value_label = [low, high], label
            self.values = numbers.tobytes()

    def play(self, motion: MotionSequence) -> None:
        """Give the page a motion with a time slider; call it before ``show``."""
        vectors = matrix_to_axis_angle(motion.rotations).flatten(1)
        frames = torch.cat([motion.translation, vectors], 1)
        with self.hold_sync():
            self.fps = float(motion.fps)
            self.motion = frames.numpy().astype("<f4").tobytes()

    def show(self) -> None:
        """Put the viewer on the page, with a picture that stays where no kernel runs."""
        file = BytesIO()
        picture = small_picture(self.smpl, self.parameters)
        Image.fromarray(picture).save(file, format="jpeg", quality=JPEG_QUALITY)
        self.still = file.getvalue()
        display_widget(self, self.still, self.alt)

    def ask_vertices(self, answer: Callable[[Tensor], None]) -> None:
        """Call ``answer`` with the page's vertices (V, 3) once it has replied, in a later cell."""
        number = len(self._asked)
        self._asked[number] = answer
        self.send({"type": "vertices", "id": number})

    def _received(self, _viewer: object, message: Mapping, buffers: list) -> None:
        if message.get("type") == "vertices":
            vertices = torch.from_numpy(np.frombuffer(buffers[0], "<f4").copy()).view(-1, 3)
            self._asked.pop(message["id"])(vertices)


def axis_angle_state(parameters: BodyParameters) -> dict[str, list[float]]:
    """One body's parameters as the page takes them."""
    return {
        "betas": parameters.betas.tolist(),
        "body_pose": matrix_to_axis_angle(parameters.body_pose).flatten().tolist(),
        "global_orient": matrix_to_axis_angle(parameters.global_orient).tolist(),
        "transl": parameters.transl.tolist(),
    }


def shared_data(smpl: SMPL) -> BodyData:
    """The model as a widget of its own, one for each body while the kernel lives."""
    known = _SHARED.get(id(smpl))
    if known is None or known[0] is not smpl or known[1].comm is None:
        packed = pack_body(smpl)
        known = _SHARED[id(smpl)] = (smpl, BodyData(header=packed.header, data=packed.data))
    return known[1]


_SHARED: dict[int, tuple[SMPL, BodyData]] = {}
