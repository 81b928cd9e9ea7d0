"""The body viewer on a page without Jupyter and without a network, as ``mount`` puts it there."""

from __future__ import annotations

import io
import os
import shutil
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import BROWSERS, QUIET_FLAGS
from tests.random_body import as_smplx, random_model
from vhlib.body import SMPL
from vhlib.body.model_files import BodyModelData, find_model, read_model
from vhlib.body.skeletons import SMPL_24
from vhlib.geometry import axis_angle_to_matrix
from vhlib.notebook import viewer as viewer_module
from vhlib.notebook.viewer_data import pack_body

pytestmark = pytest.mark.browser

SOURCE = Path(viewer_module.__file__)
CLOSE_ENOUGH = 1e-4  # metres
ELBOW = SMPL_24.index("left_elbow")

OPEN = """
async ([source, css, packed]) => {
  document.head.append(Object.assign(document.createElement("style"), { textContent: css }));
  const file = new Blob([source], { type: "text/javascript" });
  window.library = await import(URL.createObjectURL(file));
  window.body = library.unpack(packed);
  window.shown = [];
  window.show = (state) => shown[shown.push(library.mount(document.body, body, state)) - 1];
  window.drawn = async () => {
    for (const { view } of shown)
      while (view.frame || view.instead || view.calming) await new Promise(requestAnimationFrame);
  };
}
"""


def packed(smpl: SMPL) -> dict[str, object]:
    """A body as a static page carries it."""
    body = pack_body(smpl)
    return {"header": body.header, "data": b64encode(body.data).decode()}


def open_library(page: Page, smpl: SMPL) -> None:
    """The module and a body on an empty page."""
    page.set_content("<!doctype html><title>A page</title><body></body>")
    page.context.set_offline(True)
    css = SOURCE.with_suffix(".css").read_text()
    page.evaluate(OPEN, [SOURCE.with_suffix(".js").read_text(), css, packed(smpl)])


@pytest.fixture(scope="module")
def tab(chromium) -> Iterator[Page]:
    """One page for all tests; what it complains about fails the last of them."""
    context = chromium.new_context(viewport={"width": 1000, "height": 640}, has_touch=True)
    page, faults = context.new_page(), []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: line.type == "error" and faults.append(line.text))
    open_library(page, SMPL.load())
    yield page
    context.close()
    assert faults == []


@dataclass(frozen=True)
class Shown:
    """One viewer on the page."""

    page: Page
    index: int

    def get(self, name: str) -> object:
        """Of the model."""
        return self.page.evaluate("([i, n]) => shown[i].model.get(n)", [self.index, name])

    def set(self, **state: object) -> None:
        """As Python does, then wait for the drawing."""
        self.page.evaluate(
            "([i, s]) => Object.entries(s).forEach((one) => shown[i].model.set(...one))",
            [self.index, state],
        )
        self.settle()

    def view(self, expression: str) -> object:
        """Of the view."""
        return self.page.evaluate(f"shown[{self.index}].view.{expression}")

    def settle(self) -> None:
        """Wait until all that was asked for is drawn."""
        self.page.evaluate("drawn()")

    def picture(self, name: str = "") -> np.ndarray:
        """The canvas as pixels, kept under ``name`` in $VHLIB_SCREENSHOTS if that is set."""
        self.settle()
        address = self.view("canvas.toDataURL()")
        file = b64decode(address.partition(",")[2])
        folder = os.environ.get("VHLIB_SCREENSHOTS")
        if name and folder:
            self.page.screenshot(path=Path(folder) / f"viewer_{name}.png")
        return np.asarray(Image.open(io.BytesIO(file)).convert("RGBA")).astype(int)

    def joint(self, joint: int) -> tuple[float, float]:
        """Where a joint is on the page."""
        self.settle()
        x, y, _ = self.view(f"screen[{joint}]")
        left, top, width, _ = self.box()
        scale = width / self.view("canvas.width")
        return left + scale * x, top + scale * y

    def box(self) -> tuple[float, float, float, float]:
        """Left, top, width and height of the canvas on the page."""
        box = self.page.locator(".vhlib-viewer canvas").nth(self.index).bounding_box()
        return box["x"], box["y"], box["width"], box["height"]

    def corner(self) -> tuple[float, float]:
        """A place beside the body."""
        left, top, *_ = self.box()
        return left + 60, top + 300


@pytest.fixture
def show(tab) -> Iterator:
    """Opens viewers; all are closed in the end."""

    def opened(**state: object) -> Shown:
        state = {"alt": "A body", "height": 440, **state}
        tab.evaluate("(state) => show(state) && null", state)
        viewer = Shown(tab, tab.evaluate("shown.length") - 1)
        viewer.settle()
        return viewer

    tab.mouse.move(0, 0)
    yield opened
    tab.evaluate("shown.splice(0).forEach((viewer) => viewer.close())")


def drag(page: Page, start: tuple[float, float], right: float, down: float) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(start[0] + right, start[1] + down, steps=4)
    page.mouse.up()


def bent(**joints: tuple[float, float, float]) -> list[float]:
    """A pose with some joints turned."""
    pose = torch.zeros(24, 3)
    for name, vector in joints.items():
        pose[SMPL_24.index(name)] = torch.tensor(vector)
    return pose[1:].flatten().tolist()


# ---- the body itself


@dataclass(frozen=True)
class Sample:
    """Random shape, pose and place; axis-angle."""

    betas: torch.Tensor
    body_pose: torch.Tensor
    global_orient: torch.Tensor
    transl: torch.Tensor

    @classmethod
    def of(cls, smpl: SMPL, seed: int) -> Sample:
        """A body far from the mean, in a pose far from rest."""
        generator = torch.Generator().manual_seed(seed)
        joints = len(smpl.parents) - 1
        sizes = ((smpl.num_betas,), 2), ((joints, 3), 0.7), ((3,), 1), ((3,), 1)
        return cls(*(scale * torch.randn(shape, generator=generator) for shape, scale in sizes))

    def on_the_wire(self) -> dict[str, list[float]]:
        """For the page."""
        return {name: value.flatten().tolist() for name, value in vars(self).items()}

    def vhlib(self, smpl: SMPL) -> np.ndarray:
        """Vertices."""
        body_pose = axis_angle_to_matrix(self.body_pose)
        root = axis_angle_to_matrix(self.global_orient)
        return smpl(self.betas, body_pose, root, self.transl).vertices.numpy()

    def smplx(self, model: BodyModelData) -> np.ndarray:
        """Vertices by the reference implementation."""
        given = {name: value.flatten()[None] for name, value in vars(self).items()}
        return as_smplx(model)(**given).vertices[0].detach().numpy()


VERTICES = """
([packed, states, pad]) => {
  const bytes = Uint8Array.from(atob(packed.data), (c) => c.charCodeAt(0));
  const padded = new Uint8Array(bytes.length + pad);
  padded.set(bytes, pad);
  const data = new DataView(padded.buffer, pad, bytes.length);
  const body = library.unpack({ header: packed.header, data }), posed = new library.PosedBody(body);
  return states.map((state) => {
    const vertices = new Uint8Array(posed.evaluate(state).vertices.slice().buffer);
    return btoa(Array.from(vertices, (byte) => String.fromCharCode(byte)).join(""));
  });
}
"""


def page_vertices(page: Page, smpl: SMPL, samples: list[Sample], pad: int = 0) -> list[np.ndarray]:
    """The same body evaluated by the page, one pose after the other."""
    states = [sample.on_the_wire() for sample in samples]
    answers = page.evaluate(VERTICES, [packed(smpl), states, pad])
    return [np.frombuffer(b64decode(answer), "<f4").reshape(-1, 3) for answer in answers]


@pytest.mark.parametrize("name", ["neutral", "female", "male", None])
def test_vertices_are_those_of_vhlib_and_smplx(tab, name):
    model = random_model(6890) if name is None else read_model(find_model(name))
    smpl = SMPL(model)
    samples = [Sample.of(smpl, seed) for seed in range(3)]

    for sample, found in zip(samples, page_vertices(tab, smpl, samples), strict=True):
        np.testing.assert_allclose(found, sample.vhlib(smpl), atol=CLOSE_ENOUGH, rtol=0)
        np.testing.assert_allclose(found, sample.smplx(model), atol=CLOSE_ENOUGH, rtol=0)


@pytest.mark.parametrize(("vertices", "joints", "betas"), [(40, 2, 1), (200, 7, 3), (900, 52, 16)])
def test_bodies_of_other_sizes_also_unaligned(tab, vertices, joints, betas):
    smpl = SMPL(random_model(vertices, joints, betas), betas)
    sample = Sample.of(smpl, 0)

    (found,) = page_vertices(tab, smpl, [sample], pad=1)

    np.testing.assert_allclose(found, sample.vhlib(smpl), atol=CLOSE_ENOUGH, rtol=0)


def test_normals_are_those_of_the_posed_surface(show):
    smpl, viewer = SMPL.load(), show(body_pose=bent(left_elbow=(0, -1.8, 0)))
    vertices, normals = (
        np.array(viewer.view(f"pose.{name}.join().split(',').map(Number)")).reshape(-1, 3)
        for name in ("vertices", "normals")
    )
    a, b, c = vertices[smpl.faces.numpy()].transpose(1, 0, 2)
    expected = np.zeros_like(vertices)
    for corner in smpl.faces.numpy().T:
        np.add.at(expected, corner, np.cross(b - a, c - a))
    expected /= np.linalg.norm(expected, axis=-1, keepdims=True)

    np.testing.assert_allclose(normals, expected, atol=1e-3)


def test_without_correctives_the_body_is_only_skinned(show):
    smpl, pose = SMPL.load(), bent(left_elbow=(0, -1.8, 0))
    viewer = show(body_pose=pose, correctives=False)

    found = np.array(viewer.view("pose.vertices.join().split(',').map(Number)")).reshape(-1, 3)

    rotations = axis_angle_to_matrix(torch.tensor(pose).view(23, 3))
    smpl._directions[smpl.num_betas :] = 0
    expected = smpl(body_pose=rotations).vertices
    np.testing.assert_allclose(found, expected, atol=CLOSE_ENOUGH, rtol=0)


# ---- the camera


def test_a_drag_orbits_and_a_double_click_starts_over(show):
    viewer = show()
    home = viewer.view("orbit")

    drag(viewer.page, viewer.corner(), 80, 40)

    turned = viewer.view("orbit")
    assert turned["yaw"] < home["yaw"]
    assert turned["pitch"] > home["pitch"]
    assert turned["target"] == home["target"]
    viewer.page.mouse.dblclick(*viewer.corner())
    assert viewer.view("orbit") == home


def test_a_drag_with_shift_moves_what_is_seen_with_the_hand(show):
    viewer = show(skeleton=True)
    x, y = viewer.joint(0)

    viewer.page.keyboard.down("Shift")
    drag(viewer.page, viewer.corner(), 50, -30)
    viewer.page.keyboard.up("Shift")

    assert viewer.joint(0) == pytest.approx((x + 50, y - 30), abs=3)


def test_the_wheel_zooms_only_where_somebody_clicked(show):
    viewer, page = show(), show().page
    distance = viewer.view("orbit.distance")
    page.mouse.move(*viewer.corner())
    page.mouse.wheel(0, 120)
    page.wait_for_function("scrollY > 0")
    assert viewer.view("orbit.distance") == distance

    page.evaluate("scrollTo(0, 0)")
    page.mouse.click(*viewer.corner())
    page.mouse.wheel(0, -120)

    page.wait_for_function(f"shown[0].view.orbit.distance < {distance}")
    assert page.evaluate("scrollY") == 0


class Fingers:
    """Touches the page."""

    def __init__(self, page: Page):
        self.session = page.context.new_cdp_session(page)

    def touch(self, kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def test_two_fingers_zoom_and_one_scrolls_the_page(show):
    viewer = show()
    show()
    fingers, (x, y) = Fingers(viewer.page), viewer.corner()
    distance = viewer.view("orbit.distance")

    fingers.touch("touchStart", (x, y), (x + 60, y))
    for step in range(1, 5):
        fingers.touch("touchMove", (x - 5 * step, y), (x + 60 + 10 * step, y))
    fingers.touch("touchEnd")

    assert viewer.view("orbit.distance") == pytest.approx(distance * 60 / 120, rel=0.15)
    assert viewer.page.evaluate("scrollY") == 0
    yaw = viewer.view("orbit.yaw")
    fingers.touch("touchStart", (x, y))
    for step in range(1, 9):
        fingers.touch("touchMove", (x, y - 15 * step))
    fingers.touch("touchEnd")
    viewer.page.wait_for_function("scrollY > 0")
    assert viewer.view("orbit.yaw") == pytest.approx(yaw, abs=0.05)
    viewer.page.evaluate("scrollTo(0, 0)")


def test_keys_turn_the_camera_and_stay_in_the_viewer(show):
    viewer = show()
    page, start = viewer.page, viewer.view("orbit")
    page.evaluate("window.heard = []; addEventListener('keydown', (e) => heard.push(e.key))")
    page.locator(".vhlib-viewer canvas").focus()

    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("+")

    now = viewer.view("orbit")
    assert now["yaw"] != start["yaw"]
    assert now["pitch"] != start["pitch"]
    assert now["target"] != start["target"]
    assert now["distance"] < start["distance"]
    page.keyboard.press("Home")
    assert viewer.view("orbit") == start
    assert set(page.evaluate("heard")) <= {"Shift"}


# ---- joints


def test_a_joint_is_chosen_by_a_click(show):
    viewer = show(skeleton=True)
    viewer.page.mouse.click(*viewer.joint(ELBOW))
    assert viewer.get("joint") == ELBOW

    viewer.page.mouse.click(*viewer.corner())
    assert viewer.get("joint") == -1


def world_rotation(viewer: Shown, joint: int) -> np.ndarray:
    viewer.settle()
    rows = viewer.view(f"pose.world.slice({12 * joint}, {12 * joint + 12}).join().split(',')")
    return np.array(rows, dtype=float).reshape(3, 4)[:, :3]


def turn_between(before: np.ndarray, after: np.ndarray) -> tuple[float, np.ndarray]:
    """Angle and axis of the rotation of the world that leads from one to the other."""
    turn = after @ before.T
    axis = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    sine = np.linalg.norm(axis) / 2
    return float(np.arctan2(sine, (np.trace(turn) - 1) / 2)), axis / (2 * sine)


@pytest.mark.parametrize(
    ("keys", "move", "axis"), [([], (0, 60), 0), ([], (60, 0), 1), (["Shift"], (60, 0), 2)]
)
def test_a_dragged_joint_turns_about_the_axes_of_the_picture(show, keys, move, axis):
    pose = bent(left_shoulder=(0.2, -0.4, -0.7), left_elbow=(0, -0.5, 0.3))
    viewer = show(skeleton=True, body_pose=pose)
    before, camera = world_rotation(viewer, ELBOW), viewer.view("orbit.axes()")

    for key in keys:
        viewer.page.keyboard.down(key)
    drag(viewer.page, viewer.joint(ELBOW), *move)
    for key in keys:
        viewer.page.keyboard.up(key)

    angle, about = turn_between(before, world_rotation(viewer, ELBOW))
    assert angle == pytest.approx(0.6, abs=0.05)
    assert abs(about @ camera[axis]) == pytest.approx(1, abs=1e-6)
    changed = np.array(viewer.get("body_pose")) != np.array(pose)
    assert set(np.flatnonzero(changed) // 3 + 1) == {ELBOW}
    assert viewer.get("joint") == ELBOW


def test_the_root_is_turned_by_its_own_numbers(show):
    viewer = show(skeleton=True)

    drag(viewer.page, viewer.joint(0), 40, 0)

    assert np.linalg.norm(viewer.get("global_orient")) > 0.2
    assert set(viewer.get("body_pose")) == {0}


def test_moves_between_two_drawings_add_up(show):
    viewer = show(skeleton=True)
    before = world_rotation(viewer, ELBOW)

    viewer.page.evaluate(
        "(joint) => [1, 2, 3].forEach(() => shown[0].view.bend(joint, [0.2, 0, 0]))", ELBOW
    )

    angle, _ = turn_between(before, world_rotation(viewer, ELBOW))
    assert angle == pytest.approx(0.6, abs=1e-6)


def test_two_fingers_twist_the_joint_under_the_first(show):
    viewer = show(skeleton=True)
    before, toward_eye = world_rotation(viewer, ELBOW), viewer.view("orbit.axes()[2]")
    fingers, (x, y) = Fingers(viewer.page), viewer.joint(ELBOW)

    fingers.touch("touchStart", (x, y))
    fingers.touch("touchStart", (x, y), (x + 80, y))
    for step in range(1, 6):
        fingers.touch("touchMove", (x, y), (x + 80, y - 8 * step))
    fingers.touch("touchEnd")

    angle, about = turn_between(before, world_rotation(viewer, ELBOW))
    assert angle == pytest.approx(np.arctan(40 / 80), abs=0.02)
    assert about @ toward_eye == pytest.approx(1, abs=1e-6)


def test_a_joint_is_chosen_and_bent_by_keys(show):
    viewer = show()
    page = viewer.page
    page.locator(".vhlib-viewer canvas").focus()

    page.keyboard.press("j")
    page.keyboard.press("j")
    assert (viewer.get("joint"), viewer.get("skeleton")) == (1, True)
    expect(page.locator(".note")).to_have_text("left hip")
    page.keyboard.press("Shift+J")
    page.keyboard.press("Shift+J")
    assert viewer.get("joint") == 23
    page.keyboard.press("Alt+ArrowUp")
    assert np.linalg.norm(viewer.get("body_pose")[-3:]) == pytest.approx(0.1)


# ---- sliders and motion


def test_sliders_and_values_follow_one_another(show):
    viewer = show()
    slider = viewer.page.get_by_label("beta 1", exact=True)
    slider.fill("2.5")
    assert viewer.get("betas")[:2] == [2.5, 0]

    viewer.set(betas=[-1.0] * 10)

    expect(slider).to_have_value("-1")
    viewer.page.get_by_label("joint", exact=True).select_option("left elbow")
    viewer.page.get_by_label("joint about y").fill("-1")
    assert viewer.get("body_pose")[3 * ELBOW - 2] == -1
    viewer.page.get_by_role("button", name="Reset the body").click()
    assert set(viewer.get("betas") + viewer.get("body_pose")) == {0}


MOTION = """
(frames) => shown[0].model.set("motion", new DataView(new Float32Array(frames).buffer))
"""


def test_a_motion_plays_and_stops_where_the_slider_stands(show):
    viewer, page = show(fps=10), show().page
    frames = np.zeros((5, 75))
    frames[:, 1] = frames[:, 3 * ELBOW + 3] = np.arange(5) / 10
    page.evaluate(MOTION, frames.ravel().tolist())
    time = page.get_by_label("time")

    time.fill("3")
    assert viewer.get("frame") == 3
    assert viewer.get("transl") == pytest.approx([0, 0.3, 0])
    assert viewer.get("body_pose")[3 * ELBOW - 3] == pytest.approx(0.3)
    expect(page.locator(".time output")).to_have_text("0.30 s")

    page.get_by_role("button", name="Play").click()
    expect(time).not_to_have_value("3")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    assert viewer.get("frame") == int(time.input_value())
    assert viewer.get("transl")[1] == pytest.approx(viewer.get("frame") / 10)

    viewer.set(frame=1)
    expect(time).to_have_value("1")
    assert viewer.get("transl") == pytest.approx([0, 0.1, 0])


# ---- what is drawn


def changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Where two pictures differ visibly."""
    return np.abs(after - before).max(-1) > 30


@pytest.mark.parametrize("mode", ["skeleton", "frames", "wireframe"])
def test_marks_are_drawn_on_the_body(show, mode):
    viewer = show(body_pose=bent(left_shoulder=(0, 0, -1)), joint=ELBOW)
    plain = viewer.picture()

    viewer.set(**{mode: True})

    marks = changed(plain, viewer.picture(mode))
    assert 0.002 < marks.mean() < 0.2
    viewer.set(**{mode: False})
    assert not changed(plain, viewer.picture()).any()


def is_yellow(picture: np.ndarray) -> np.ndarray:
    """The upper end of viridis, shaded."""
    red, green, blue, _ = np.moveaxis(picture, -1, 0)
    return (red > 130) & (green > 110) & (blue < 90)


def test_weights_are_shown_where_the_chosen_joint_moves(show):
    viewer = show(weights=True, joint=ELBOW)
    picture = viewer.picture("weights")
    x, y, _ = viewer.view(f"screen[{ELBOW}]")
    rows, columns = np.nonzero(is_yellow(picture))

    on_body = columns > 60
    assert on_body.sum() > 100
    assert np.hypot(columns[on_body] - x, rows[on_body] - y).max() < 120
    assert (columns < 40).sum() > 100, "and the bar"


def test_values_are_shown_with_their_scale(show):
    viewer = show(joint=-1)
    plain = viewer.picture()
    values = np.linspace(0, 1, len(SMPL.load().v_template)).astype("<f4")
    values[1000:] = np.nan
    viewer.page.evaluate(
        "(values) => shown[0].model.set('values', new DataView(new Float32Array(values.map("
        "(v) => v ?? NaN)).buffer))",
        [None if np.isnan(value) else float(value) for value in values],
    )
    viewer.set(value_range=[0, 0.1], value_label="error (mm)")

    colored = changed(plain, viewer.picture("values"))

    assert colored[14:134, 14:28].all(), "the bar"
    on_body = colored[:, 160:].mean()
    assert 0.003 < on_body < 0.1, "only vertices that have a value"


def test_a_second_body_is_seen_through_and_leaves(show):
    viewer = show()
    alone = viewer.picture()
    second = {name: viewer.get(name) for name in ("body_pose", "global_orient")}
    second |= {"betas": [4.0] + [0.0] * 9, "transl": [0.6, 0, 0]}

    viewer.set(second=second)
    half = viewer.picture("second")
    viewer.set(second={**second, "opacity": 1})
    full = viewer.picture()

    assert changed(alone, half).mean() > 0.02
    there = changed(alone, full)
    assert np.abs(full - alone)[there].mean() > np.abs(half - alone)[there].mean()
    assert viewer.page.evaluate("library.counts().meshes") == 2
    viewer.set(second=None)
    assert not changed(alone, viewer.picture()).any()
    assert viewer.page.evaluate("library.counts().meshes") == 1


def test_the_picture_is_sharp_on_a_fine_screen(show):
    viewer = show()
    session = viewer.page.context.new_cdp_session(viewer.page)
    screen = {"width": 1000, "height": 640, "deviceScaleFactor": 2, "mobile": False}
    session.send("Emulation.setDeviceMetricsOverride", screen)
    viewer.page.wait_for_function("devicePixelRatio === 2")
    viewer.view("refresh()")
    viewer.settle()

    assert viewer.view("canvas.width") == 2 * viewer.view("canvas.clientWidth")
    assert (viewer.picture()[:, :, 3] > 250).mean() > 0.05
    session.send("Emulation.clearDeviceMetricsOverride")


def test_it_is_named_and_shows_where_the_focus_is(show):
    canvas = show().page.get_by_role("application", name="A body. Drag to turn")
    expect(canvas).to_have_count(1)
    canvas.page.keyboard.press("Tab")
    canvas.focus()
    assert canvas.evaluate("node => getComputedStyle(node).outlineStyle") == "solid"


# ---- one context, and none


def test_two_viewers_share_one_context(show):
    first, second = show(betas=[3.0] + [0.0] * 9, controls=False), show(controls=False)

    assert first.page.evaluate("library.counts()") == {"contexts": 1, "viewers": 2, "meshes": 2}
    one, other = first.picture(), second.picture("two")
    assert one.shape == other.shape
    assert changed(one, other).mean() > 0.002, "each its own body"
    first.set(betas=[0.0] * 10)
    first.view("home()")
    assert not changed(first.picture(), other).any()


def test_fifty_viewers_leave_nothing(tab):
    tab.evaluate(
        """async () => {
          for (let i = 0; i < 50; i++) {
            show({ height: 100, controls: false });
            if (i % 10 === 9) {
              await drawn();
              shown.splice(0).forEach((viewer) => viewer.close());
            }
          }
        }"""
    )

    assert tab.evaluate("library.counts()") == {"contexts": 0, "viewers": 0, "meshes": 0}
    expect(tab.locator("canvas")).to_have_count(0)


@pytest.fixture(scope="module")
def still() -> str:
    """A red picture."""
    file = io.BytesIO()
    Image.new("RGB", (40, 60), (255, 0, 0)).save(file, format="png")
    return b64encode(file.getvalue()).decode()


def give_still(viewer: Shown, still: str) -> None:
    """As bytes, which JSON can't hold."""
    viewer.page.evaluate(
        "(still) => shown[0].model.set('still', Uint8Array.from(atob(still), "
        "(c) => c.charCodeAt(0)))",
        still,
    )


def red_part(viewer: Shown) -> float:
    picture = viewer.picture()
    return float(((picture[:, :, 0] > 250) & (picture[:, :, 1] < 5)).mean())


def test_a_lost_context_is_said_and_comes_back(show, still):
    viewer = show(skeleton=True)
    give_still(viewer, still)
    before = viewer.picture()
    page = viewer.page

    page.evaluate(
        "() => { window.context = shown[0].view.painter.gl.getExtension('WEBGL_lose_context');"
        " context.loseContext(); }"
    )
    expect(page.locator(".note")).to_contain_text("memory back")
    page.wait_for_function("shown[0].view.instead === false")
    assert red_part(viewer) > 0.3

    page.evaluate("context.restoreContext()")
    expect(page.locator(".note")).to_contain_text("Drag to turn")
    assert not changed(before, viewer.picture()).any()


@pytest.fixture(scope="module")
def without_webgl(chromium) -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, BROWSERS)))
    flags = *QUIET_FLAGS, "--no-sandbox", "--disable-webgl", "--disable-3d-apis"
    browser = chromium.browser_type.launch(executable_path=found, args=flags)
    yield browser
    browser.close()


def test_without_webgl_there_are_words_and_a_picture(without_webgl, still):
    page = without_webgl.new_page(viewport={"width": 1000, "height": 600})
    open_library(page, SMPL.load())
    page.evaluate("() => show({ alt: 'A body', height: 440 }) && null")
    viewer = Shown(page, 0)
    give_still(viewer, still)
    viewer.view("refresh()")

    expect(page.locator(".note")).to_contain_text("draws no WebGL 2")
    page.wait_for_function("shown[0].view.instead === false")
    assert red_part(viewer) > 0.3
    page.get_by_label("beta 1", exact=True).fill("2")
    assert viewer.get("betas")[0] == 2
    assert page.evaluate("library.counts()") == {"contexts": 0, "viewers": 0, "meshes": 0}
    page.evaluate("shown[0].close()")
