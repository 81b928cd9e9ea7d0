"""Python's half of the keypoint editor: what the page is told, asked and answered."""

from __future__ import annotations

import io
from base64 import b64decode

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from vhlib.body import Keypoints
from vhlib.body.skeletons import COCO_17
from vhlib.notebook import controls
from vhlib.notebook.controls import WIDGET_VIEW
from vhlib.notebook.keypoint_editor import (
    EditorAnswer,
    KeypointEditor,
    Overlay,
    edit_keypoints,
    still_figure,
)

PHOTO = np.full((400, 300, 3), 200, dtype=np.uint8)


def standing() -> Keypoints:
    """A symmetric person; the left ear is hardly seen, the right one not at all."""
    xy = torch.tensor(
        [[150, 60], [155, 55], [145, 55], [160, 58], [0, 0], [180, 100], [120, 100], [190, 150]]
        + [[110, 150], [195, 200], [105, 200], [170, 200], [130, 200], [170, 280], [130, 280]]
        + [[170, 350], [130, 350]],
        dtype=torch.float32,
    )
    confidence = torch.full((17,), 0.9)
    confidence[COCO_17.indices("left_ear", "right_ear")] = torch.tensor([0.1, 0.0])
    return Keypoints(xy, confidence, "coco_17")


def lowered(keypoints: Keypoints) -> EditorAnswer:
    """Every point ten pixels below where it is, and a red square."""
    square = np.zeros((10, 20, 3), dtype=np.uint8) + np.array([255, 0, 0], dtype=np.uint8)
    words = f"nose at {float(keypoints.xy[0, 0]):.1f}"
    down = torch.tensor([0.0, 10.0])
    return EditorAnswer(keypoints.xy + down, Overlay(square, (100, 150, 140, 170)), words)


def editor(refit=lowered) -> KeypointEditor:
    return KeypointEditor(PHOTO, standing(), refit, EditorAnswer(), "A person stands")


def ask(edited: KeypointEditor, serial: int, name: str, place: list[float]) -> None:
    """What the page sends when a point is dragged to ``place``."""
    xy = [*edited.asked["xy"]]
    xy[COCO_17.index(name)] = place
    edited.set_state({"asked": {"serial": serial, "xy": xy}})


@pytest.fixture
def displayed(monkeypatch) -> list[tuple[dict, dict]]:
    page = []
    monkeypatch.setattr(
        controls, "display", lambda content, metadata, raw: page.append((content, metadata))
    )
    return page


def test_the_page_gets_a_live_editor_and_a_described_picture(displayed):
    edit_keypoints(PHOTO, standing(), lowered, alt="A person stands")

    ((content, metadata),) = displayed
    assert content[WIDGET_VIEW]["model_id"]
    picture = Image.open(io.BytesIO(b64decode(content["image/jpeg"])))
    red = (np.asarray(picture).astype(int) @ [1, -1, -1] > 200).sum()
    assert red > 100, "the overlay is in the picture"
    assert metadata["image/jpeg"]["alt"] == "A person stands"
    assert plt.get_fignums() == []


def test_colab_is_told_where_its_widgets_come_from(displayed, monkeypatch):
    told = {WIDGET_VIEW: {"colab": {"custom_widget_manager": {"url": "https://example.org"}}}}
    monkeypatch.setattr(KeypointEditor, "_repr_mimebundle_", lambda self: ({}, told))

    edit_keypoints(PHOTO, standing(), lowered, alt="A person stands")

    ((_, metadata),) = displayed
    assert metadata[WIDGET_VIEW] == told[WIDGET_VIEW]


def test_an_editor_without_words_is_refused(displayed):
    with pytest.raises(ValueError, match="alternative text"):
        edit_keypoints(PHOTO, standing(), lowered, alt=" ")

    assert displayed == []


def test_several_people_are_refused(displayed):
    people = Keypoints(standing().xy[None], standing().confidence[None], "coco_17")

    with pytest.raises(ValueError, match=r"one person's keypoints .* found batch axes \(1,\)"):
        edit_keypoints(PHOTO, people, lowered, alt="A person stands")


def test_a_fault_of_the_first_answer_is_raised_in_the_cell():
    def refit(keypoints: Keypoints) -> EditorAnswer:
        raise ValueError("no body")

    with pytest.raises(ValueError, match="no body"):
        edit_keypoints(PHOTO, standing(), refit, alt="A person stands")


def test_a_moved_point_is_answered_under_its_number():
    edited = editor()

    ask(edited, 7, "nose", [161.5, 70.25])

    assert edited.keypoints.xy[0].tolist() == [161.5, 70.25]
    torch.testing.assert_close(edited.keypoints.xy[1:], standing().xy[1:])
    assert edited.answer["serial"] == 7
    assert edited.answer["text"] == "nose at 161.5"
    assert edited.answer["projected"][0] == [161.5, 80.25]
    assert edited.answer["picture_box"] == [100, 150, 140, 170]


@pytest.mark.parametrize(("channels", "kind"), [(3, "jpeg"), (4, "png")])
def test_a_picture_is_sent_in_a_type_that_holds_it(channels, kind):
    picture = np.full((10, 20, channels), 128, dtype=np.uint8)
    edited = editor(lambda _: EditorAnswer(overlay=Overlay(picture, (0, 0, 20, 10))))

    ask(edited, 1, "nose", [150, 61])

    assert edited.answer["picture_type"] == f"image/{kind}"
    sent = Image.open(io.BytesIO(edited.answer["picture"]))
    assert sent.format == kind.upper()
    assert np.abs(np.asarray(sent).astype(int) - picture).max() <= 2


def test_what_a_refit_raises_is_said_and_the_next_one_is_answered():
    def refit(keypoints: Keypoints) -> EditorAnswer:
        if keypoints.xy[0, 0] > 200:
            raise ValueError("no body so wide")
        if keypoints.xy[0, 0] < 0:
            raise TypeError("a fault of mine")
        return EditorAnswer(text="fine")

    edited, said = editor(refit), []
    for serial, x in enumerate((210.0, -1.0, 150.0), start=1):
        ask(edited, serial, "nose", [x, 60.0])
        said.append((edited.answer["serial"], edited.answer["text"]))

    assert said == [(1, "no body so wide"), (2, "TypeError: a fault of mine"), (3, "fine")]


def test_the_answer_reaches_the_page_in_one_piece():
    edited, sent = editor(), []
    edited._send = lambda message, buffers=None: sent.append((message, buffers))

    ask(edited, 1, "nose", [161.5, 70.25])

    ((message, buffers),) = [m for m in sent if m[0]["method"] == "update"]
    assert set(message["state"]) == {"answer"}, "the page knows what it asked"
    assert len(buffers) == 1


def test_points_are_solid_where_the_fit_uses_them_and_absent_where_nothing_is_seen():
    scene = editor().scene
    names = dict(zip(scene["names"], zip(scene["shown"], scene["used"], strict=True), strict=True))

    assert names["nose"] == (True, True)
    assert names["left ear"] == (True, False)
    assert names["right ear"] == (False, False)


def test_the_photo_is_the_part_around_the_person():
    marked = PHOTO.copy()
    marked[200:, 150:] = (255, 0, 0)
    edited = KeypointEditor(marked, standing(), lowered, EditorAnswer(), "A person stands")
    left, top, right, bottom = edited.scene["box"]

    part = np.asarray(Image.open(io.BytesIO(edited.photo))).astype(int)

    assert part.shape[:2] == (round(bottom - top), round(right - left))
    red = part @ [1, -1, -1] > 100
    assert red[round(200 - top) + 3 :, round(150 - left) + 3 :].all()
    assert not red[: round(200 - top) - 3].any()


def test_a_large_photo_is_sent_in_moderate_size():
    big = Keypoints(10 * standing().xy, standing().confidence, "coco_17")
    photo = np.zeros((4000, 3000, 3), dtype=np.uint8)

    edited = KeypointEditor(photo, big, lowered, EditorAnswer(), "A person stands")

    assert max(Image.open(io.BytesIO(edited.photo)).size) == 1200


def test_the_still_picture_has_the_shape_of_the_part():
    figure = still_figure(PHOTO, standing(), lowered(standing()))
    left, top, right, bottom = editor().scene["box"]

    axes = figure.axes[0]
    assert axes.get_xlim() == pytest.approx((left, right))
    assert axes.get_ylim() == pytest.approx((bottom, top))
    plt.close(figure)
