"""Python's half of the body viewer: what is packed, sent, taken and refused."""

from __future__ import annotations

import io
from base64 import b64decode

import numpy as np
import pytest
import torch
from ipywidgets import Widget
from PIL import Image
from traitlets import TraitError

from tests.random_body import random_model
from vhlib.body import SMPL, BodyParameters
from vhlib.body.skeletons import SMPL_24
from vhlib.data.mocap import MotionSequence
from vhlib.geometry import axis_angle_to_matrix
from vhlib.notebook import controls
from vhlib.notebook.controls import WIDGET_VIEW
from vhlib.notebook.viewer import BodyViewer, axis_angle_state
from vhlib.notebook.viewer_data import ALIGNMENT, NEGLIGIBLE, PackedBody, pack_body

LARGEST_BYTES = 2_000_000


def unpacked(packed: PackedBody) -> dict[str, np.ndarray]:
    """The arrays as the page reads them."""
    arrays = {}
    for name, (kind, offset, length, scale) in packed.header["arrays"].items():
        stored = np.frombuffer(packed.data, f"<{kind}", length, offset)
        arrays[name] = stored * scale if scale else stored
    return arrays


def rows(start: np.ndarray) -> np.ndarray:
    """The row of each entry of a sparse array."""
    return np.repeat(np.arange(len(start) - 1), np.diff(start.astype(int)))


@pytest.fixture(scope="module")
def smpl() -> SMPL:
    return SMPL(random_model(60, 5, 3), 3)


@pytest.fixture(scope="module")
def neutral() -> SMPL:
    return SMPL.load()


@pytest.fixture
def viewer(smpl) -> BodyViewer:
    return BodyViewer(smpl, "A body")


def random_body(smpl: SMPL, seed: int = 0) -> BodyParameters:
    generator = torch.Generator().manual_seed(seed)

    def numbers(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    return BodyParameters(
        betas=numbers(smpl.num_betas),
        body_pose=axis_angle_to_matrix(numbers(len(smpl.parents) - 1, 3)),
        global_orient=axis_angle_to_matrix(numbers(3)),
        transl=numbers(3),
    )


@pytest.mark.parametrize("name", ["neutral", "female", "male"])
def test_an_open_body_is_small(name):
    assert len(pack_body(SMPL.load(name)).data) <= LARGEST_BYTES


@pytest.mark.parametrize("sizes", [(60, 5, 3), (300, 24, 10), (40, 1, 2)])
def test_the_packed_body_is_the_body(sizes):
    smpl = SMPL(random_model(*sizes), num_betas=sizes[2])
    vertices, joints = sizes[:2]
    packed = pack_body(smpl)
    scale = {name: entry[3] for name, entry in packed.header["arrays"].items()}
    arrays = unpacked(packed)

    weights = np.zeros((vertices, joints))
    weights[rows(arrays["weightStart"]), arrays["weightJoint"]] = arrays["weightValue"]
    np.testing.assert_array_equal(weights, smpl.lbs_weights.double())
    posedirs = np.zeros((joints - 1, vertices, 3, 9))
    blocks = arrays["poseBlock"].reshape(-1, 3, 9)
    posedirs[rows(arrays["poseStart"]), arrays["poseVertex"]] = blocks
    expected = smpl.posedirs.reshape(vertices, 3, joints - 1, 9).permute(2, 0, 1, 3)
    allowed = NEGLIGIBLE + scale["poseBlock"]
    np.testing.assert_allclose(posedirs, expected, atol=allowed, rtol=0)
    shapedirs = arrays["shapedirs"].reshape(-1, vertices, 3)
    expected = smpl.shapedirs.permute(2, 0, 1)
    np.testing.assert_allclose(shapedirs, expected, atol=scale["shapedirs"], rtol=0)
    np.testing.assert_array_equal(arrays["faces"].reshape(-1, 3), smpl.faces)
    np.testing.assert_array_equal(arrays["parents"], smpl.parents)
    assert len(packed.header["joints"]) == joints


def test_arrays_are_aligned_and_no_wider_than_needed(smpl):
    entries = pack_body(smpl).header["arrays"]

    assert all(offset % ALIGNMENT == 0 for _, offset, _, _ in entries.values())
    assert entries["faces"][0] == "u1"
    assert pack_body(SMPL(random_model(300, 5, 3), 3)).header["arrays"]["faces"][0] == "u2"


@pytest.mark.parametrize(
    "numbers",
    [
        [0.5, -1, 2],
        (0.5, -1, 2),
        np.array([[0.5, -1, 2]]),
        torch.tensor([0.5, -1, 2], requires_grad=True),
    ],
)
def test_vectors_come_from_anything(viewer, numbers):
    viewer.betas = numbers

    assert viewer.betas == (0.5, -1.0, 2.0)
    assert viewer.get_state("betas") == {"betas": [0.5, -1.0, 2.0]}


def test_joints_may_stand_in_rows(viewer):
    viewer.body_pose = np.arange(12.0).reshape(4, 3)

    assert viewer.body_pose == tuple(range(12))


def test_a_vector_is_set_whole(viewer):
    with pytest.raises(TypeError):
        viewer.betas[0] = 1.0


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("betas", [1, 2], r"betas takes 3 numbers, got \(2,\)"),
        ("body_pose", torch.eye(3).expand(4, 3, 3), r"body_pose takes 12 numbers, axis-angle"),
        ("global_orient", torch.eye(3), "global_orient takes 3 numbers, axis-angle"),
        ("transl", [0, float("nan"), 0], "transl holds a number that isn't finite"),
        ("betas", "tall", "betas takes 3 numbers, got 'tall'"),
        ("betas", [[1, 2], [3]], "betas takes 3 numbers"),
        ("betas", None, "betas holds a number that isn't finite|betas takes 3 numbers"),
    ],
)
def test_what_does_not_fit_is_refused(viewer, name, value, words):
    before = getattr(viewer, name)
    with pytest.raises(TraitError, match=words):
        setattr(viewer, name, value)
    assert getattr(viewer, name) == before
    with pytest.raises(TraitError, match=words):
        BodyViewer(viewer.smpl, "A body", **{name: value})


def test_what_the_page_says_is_not_said_back(viewer, monkeypatch):
    sent, heard = [], []
    monkeypatch.setattr(viewer, "_send", lambda message, buffers=None: sent.append(message))
    viewer.observe(lambda change: heard.append(change["new"]), "betas")

    viewer.set_state({"betas": [1, 2.5, 3]})
    viewer.set_state({"betas": [1.0, 2.5, 3.0]})

    assert heard == [(1.0, 2.5, 3.0)]
    assert [message for message in sent if message["method"] == "update"] == []
    viewer.betas = [0, 0, 0]
    assert [message["state"] for message in sent if message["method"] == "update"] == [
        {"betas": [0.0, 0.0, 0.0]}
    ]


def test_a_body_of_matrices_goes_there_and_back(smpl):
    body = random_body(smpl)

    viewer = BodyViewer.of(smpl, body, "A body")

    for name, value in vars(viewer.parameters).items():
        torch.testing.assert_close(value, getattr(body, name), atol=1e-5, rtol=0)
    expected = smpl(**vars(body)).vertices
    torch.testing.assert_close(smpl(**vars(viewer.parameters)).vertices, expected)


def test_a_body_without_limbs():
    smpl = SMPL(random_model(40, 1, 2), 2)

    assert BodyViewer(smpl, "A blob").parameters.body_pose.shape == (0, 3, 3)


def test_the_model_is_sent_once(smpl, viewer):
    assert BodyViewer(smpl, "The same body").body is viewer.body
    assert BodyViewer(SMPL(random_model(60, 5, 3), 3), "Another").body is not viewer.body


def test_a_closed_model_is_sent_again():
    smpl = SMPL(random_model(60, 5, 3), 3)
    first = BodyViewer(smpl, "A body").body
    Widget.close_all()

    again = BodyViewer(smpl, "A body").body

    assert again is not first
    assert again.comm is not None
    assert again.data == first.data


def test_colours_have_a_scale(viewer):
    values = torch.linspace(-1, 3, 60)
    values[7] = torch.nan

    viewer.color(values, "error (mm)")

    assert viewer.value_range == [-1, 3]
    assert viewer.value_label == "error (mm)"
    np.testing.assert_array_equal(np.frombuffer(viewer.values, "<f4"), values)
    viewer.color(values, "error (mm)", limits=(0, 10))
    assert viewer.value_range == [0, 10]
    viewer.uncolor()
    assert viewer.values == b""


@pytest.mark.parametrize(
    ("values", "words"),
    [(torch.zeros(59), "values of 60 vertices"), (torch.full((60,), torch.nan), "no finite")],
)
def test_colours_that_do_not_fit_are_refused(viewer, values, words):
    with pytest.raises(ValueError, match=words):
        viewer.color(values, "error")


def test_a_second_body_fits_or_is_refused(smpl, viewer):
    other = random_body(smpl)

    viewer.compare(other, opacity=0.3)

    assert viewer.second == {**axis_angle_state(other), "opacity": 0.3}
    assert BodyViewer(smpl, "Two", second=other).second["betas"] == other.betas.tolist()
    with pytest.raises(TraitError, match="betas takes 3 numbers"):
        viewer.compare(BodyParameters(torch.zeros(4), *list(vars(other).values())[1:]))
    viewer.compare(None)
    assert viewer.second is None


def test_a_motion_is_frames_of_numbers(neutral):
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(5, 24, 3, generator=generator)
    places = torch.randn(5, 3, generator=generator)
    viewer = BodyViewer(neutral, "A body walks")

    viewer.play(MotionSequence(axis_angle_to_matrix(vectors), places, fps=20.0))

    frames = np.frombuffer(viewer.motion, "<f4").reshape(5, 75)
    np.testing.assert_allclose(frames[:, :3], places, atol=1e-6)
    found = axis_angle_to_matrix(torch.tensor(frames[:, 3:]).view(5, 24, 3))
    torch.testing.assert_close(found, axis_angle_to_matrix(vectors), atol=1e-5, rtol=0)
    assert viewer.fps == 20


def test_a_motion_needs_its_joints(viewer):
    motion = MotionSequence(torch.eye(3).expand(2, 24, 3, 3), torch.zeros(2, 3), 30.0)
    with pytest.raises(ValueError, match="a motion moves 24 joints, this body has 5"):
        viewer.play(motion)


def test_the_page_answers_with_vertices(viewer):
    answers, vertices = [], np.arange(180, dtype="<f4")
    viewer.ask_vertices(answers.append)
    viewer.ask_vertices(answers.append)

    for _ in range(2):  # as two views of one body do
        viewer._received(viewer, {"type": "vertices", "id": 1}, [memoryview(vertices.tobytes())])

    assert len(answers) == 1
    np.testing.assert_array_equal(answers[0], vertices.reshape(60, 3))


def test_the_page_gets_a_viewer_and_a_described_picture(neutral, monkeypatch):
    page = []
    monkeypatch.setattr(
        controls, "display", lambda content, metadata, raw: page.append((content, metadata))
    )
    viewer = BodyViewer.of(neutral, random_body(neutral), "A body leaps")

    viewer.show()

    ((content, metadata),) = page
    assert content[WIDGET_VIEW]["model_id"] == viewer.model_id
    picture = np.asarray(Image.open(io.BytesIO(b64decode(content["image/jpeg"]))))
    assert 0.05 < (picture.min(-1) < 240).mean() < 0.9, "a body on white"
    assert metadata["image/jpeg"]["alt"] == content["text/plain"] == "A body leaps"


def test_words_are_required(smpl):
    with pytest.raises(ValueError, match="alt"):
        BodyViewer(smpl, " ")


def test_the_picture_has_the_page_s_colours(neutral, monkeypatch):
    monkeypatch.setattr(controls, "display", lambda *_data, **_rest: None)
    viewer = BodyViewer(neutral, alt="A body.")
    plain = picture_of(viewer)
    viewer.color(neutral.v_template[:, 1], "height in m")
    by_height = picture_of(viewer)
    viewer.uncolor()
    viewer.joint, viewer.weights = SMPL_24.index("left_knee"), True
    by_weight = picture_of(viewer)

    assert is_yellow(by_height).any()
    assert is_yellow(by_weight).any()  # weights of one, about the knee
    assert not is_yellow(plain).any()


def picture_of(viewer: BodyViewer) -> np.ndarray:
    """The picture that stays, as numbers (H, W, 3)."""
    viewer.show()
    return np.asarray(Image.open(io.BytesIO(viewer.still)).convert("RGB")).astype(int)


def is_yellow(picture: np.ndarray) -> np.ndarray:
    """Where a picture (H, W, 3) has much more red and green than blue."""
    return picture[..., :2].min(-1) > picture[..., 2] + 60
