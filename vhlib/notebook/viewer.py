"""A body that moves under the reader's hand: evaluated in the page, driven from both sides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from itertools import count
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
import torch
from anywidget import AnyWidget
from ipywidgets import widget_serialization
from jaxtyping import Float
from matplotlib import colormaps
from PIL import Image
from torch import Tensor
from traitlets import Bool, Bytes, Dict, Instance, Int, List, TraitError, TraitType, Unicode
from traitlets import Float as FloatTrait

from vhlib.body import SMPL, BodyParameters
from vhlib.body.skeletons import SMPL_24
from vhlib.data.mocap import MotionSequence
from vhlib.geometry import axis_angle_to_matrix, matrix_to_axis_angle
from vhlib.geometry.rendering import CLAY
from vhlib.notebook.body_figures import small_picture
from vhlib.notebook.controls import display_widget, host_metadata
from vhlib.notebook.figures import JPEG_QUALITY, require_words
from vhlib.notebook.mesh_pictures import Color
from vhlib.notebook.viewer_data import pack_body

Number = float | int


class Vector(TraitType):
    """Some finite numbers, kept as a tuple: ``viewer.betas[0] = 1`` fails instead of doing nothing.

    Takes tensors, arrays and lists of any shape with as many numbers as the first value had.
    """

    def __init__(self, **options: object):
        super().__init__((), **options)
        # A list on the wire, as the page sends it: else every update would come back as a change.
        self.tag(sync=True, to_json=lambda value, _widget: list(value))

    def validate(self, viewer: BodyViewer, value: object) -> tuple[float, ...]:
        """The numbers, or a TraitError that says how many are expected."""
        expected = viewer.sizes[self.name]
        try:
            numbers = as_array(value)
        except (TypeError, ValueError):
            raise TraitError(f"{self.name} takes {expected} numbers, got {value!r}") from None
        if numbers.size != expected:
            hint = "" if self.name in ("betas", "transl") else ", axis-angle vectors"
            raise TraitError(f"{self.name} takes {expected} numbers{hint}, got {numbers.shape}")
        if not np.isfinite(numbers).all():
            raise TraitError(f"{self.name} holds a number that isn't finite")
        return tuple(numbers.ravel().tolist())


def as_array(value: object) -> np.ndarray:
    """Numbers from anywhere, also from a graph or a graphics card."""
    return np.asarray(value.detach().cpu() if isinstance(value, Tensor) else value, np.float64)


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
    joint, height = Int(-1).tag(sync=True), Int(500).tag(sync=True)
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
        self._numbers = count()
        zeros = {name: (0.0,) * size for name, size in self.sizes.items()}
        super().__init__(body=shared_data(smpl), alt=alt, **{**zeros, **options})
        self.compare(second)
        self.on_msg(self._received)

    @classmethod
    def of(cls, smpl: SMPL, parameters: BodyParameters, alt: str, **options: object) -> BodyViewer:
        """A viewer of one body given by rotation matrices."""
        return cls(smpl, alt, **axis_angle_state(parameters), **options)

    @property
    def parameters(self) -> BodyParameters:
        """The body as it is now, rotations as matrices."""
        vector = {name: self.smpl.v_template.new_tensor(getattr(self, name)) for name in self.sizes}
        return BodyParameters(
            betas=vector["betas"],
            body_pose=axis_angle_to_matrix(
                vector["body_pose"].reshape(len(self.smpl.parents) - 1, 3)
            ),
            global_orient=axis_angle_to_matrix(vector["global_orient"]),
            transl=vector["transl"],
        )

    def compare(self, other: BodyParameters | None, opacity: Number = 0.5) -> None:
        """Show a second body, opaque with ``opacity`` 1; None takes it away."""
        if other is None:
            self.second = None
            return
        traits = self.traits()
        state = axis_angle_state(other).items()
        checked = {name: list(traits[name].validate(self, numbers)) for name, numbers in state}
        self.second = {**checked, "opacity": opacity}

    def color(
        self, values: Float[Tensor, " V"], label: str, limits: tuple[Number, Number] | None = None
    ) -> None:
        """Colour the vertices by numbers (NaN: the skin's colour), with a bar named ``label``.

        limits: the ends of the colour scale; the least and the largest number if left out.

        Raises:
            ValueError: another number of vertices, or no number that is finite.
        """
        numbers, expected = as_array(values), len(self.smpl.v_template)
        if numbers.shape != (expected,):
            raise ValueError(f"values of {expected} vertices expected, got {numbers.shape}")
        finite = numbers[np.isfinite(numbers)]
        if not len(finite):
            raise ValueError("values hold no finite number to show")
        low, high = limits or (float(finite.min()), float(finite.max()))
        with self.hold_sync():
            self.value_range, self.value_label = [low, high], label
            self.values = numbers.astype("<f4").tobytes()

    def uncolor(self) -> None:
        """Back to the skin's colour."""
        self.values = b""

    def play(self, motion: MotionSequence) -> None:
        """Give the page a motion with a time slider.

        Raises ValueError for a body that hasn't SMPL's joints.
        """
        if len(self.smpl.parents) != len(SMPL_24):
            joints = len(self.smpl.parents)
            raise ValueError(f"a motion moves {len(SMPL_24)} joints, this body has {joints}")
        vectors = matrix_to_axis_angle(motion.rotations).flatten(1)
        frames = torch.cat([motion.translation, vectors], 1)
        with self.hold_sync():
            self.fps, self.frame = float(motion.fps), 0
            self.motion = frames.numpy().astype("<f4").tobytes()

    def show(self) -> None:
        """Put the viewer on the page, with a picture that stays where no kernel runs."""
        file = BytesIO()
        picture = small_picture(self.smpl, self.parameters, color=self._color())
        Image.fromarray(picture).save(file, format="jpeg", quality=JPEG_QUALITY)
        self.still = file.getvalue()
        display_widget(self, self.still, self.alt, host_metadata(self))

    def _color(self) -> Color:
        """The skin's colour, or each vertex's as the page has it."""
        if self.values:
            low, high = self.value_range
            numbers = (np.frombuffer(self.values, "<f4") - low) / (high - low or 1)
        elif self.weights and self.joint >= 0:
            numbers = as_array(self.smpl.lbs_weights)[:, self.joint]
        else:
            return CLAY
        colors = np.where(np.isfinite(numbers)[:, None], colormaps["viridis"](numbers)[:, :3], CLAY)
        return torch.from_numpy(colors.astype(np.float32))

    def ask_vertices(self, answer: Callable[[Tensor], None]) -> None:
        """Call ``answer`` with the page's vertices (V, 3) once it has replied, in a later cell."""
        number = next(self._numbers)
        self._asked[number] = answer
        self.send({"type": "vertices", "id": number})

    def _received(self, _viewer: object, message: Mapping, buffers: list) -> None:
        answer = self._asked.pop(message.get("id"), None)
        if answer is not None:  # a second view of the same body answers, too
            vertices = np.frombuffer(buffers[0], "<f4").reshape(-1, 3)
            answer(torch.from_numpy(vertices.astype(np.float32)))


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
    known = _SHARED.get(smpl)
    if known is None or known.comm is None:  # closed, as by Widget.close_all()
        packed = pack_body(smpl)
        known = _SHARED[smpl] = BodyData(header=packed.header, data=packed.data)
    return known


_SHARED: WeakKeyDictionary[SMPL, BodyData] = WeakKeyDictionary()
