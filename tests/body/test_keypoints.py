"""What Keypoints takes and refuses, and OpenPose's files there and back."""

from __future__ import annotations

import contextlib
import json
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vhlib.body import Keypoints
from vhlib.body.keypoints import read_openpose_json, select_person, write_openpose_json
from vhlib.body.skeleton import Skeleton
from vhlib.body.skeletons import OPENPOSE_25, SKELETONS


def random_keypoints(*batch: int, skeleton: str = "coco_17", seed: int = 0) -> Keypoints:
    g = torch.Generator().manual_seed(seed)
    size = len(SKELETONS[skeleton])
    xy = 1000 * torch.rand(*batch, size, 2, generator=g)
    return Keypoints(xy, torch.rand(*batch, size, generator=g), skeleton)


def equal(a: Keypoints, b: Keypoints) -> bool:
    same = torch.equal(a.xy, b.xy) and torch.equal(a.confidence, b.confidence)
    return same and a.skeleton == b.skeleton


class TestConstruction:
    @pytest.mark.parametrize("batch", [(), (1,), (3,), (2, 3), (0,)])
    @pytest.mark.parametrize("skeleton", sorted(SKELETONS))
    def test_any_batch_and_skeleton(self, batch, skeleton):
        keypoints = random_keypoints(*batch, skeleton=skeleton)
        size = len(SKELETONS[skeleton])
        assert keypoints.xy.shape == (*batch, size, 2)
        assert keypoints.confidence.shape == (*batch, size)
        assert keypoints.box().shape == (*batch, 4)
        assert keypoints.height().shape == batch

    @pytest.mark.parametrize(
        "convert",
        [
            torch.Tensor.numpy,
            torch.Tensor.tolist,
            lambda t: t.double(),
            lambda t: t.numpy()[..., ::-1][..., ::-1],
            lambda t: np.broadcast_to(t.numpy(), t.shape),
            lambda t: t.numpy().astype(np.float16),
        ],
        ids=["numpy", "list", "double", "reversed view", "read-only", "half"],
    )
    def test_numbers_of_any_kind(self, convert):
        whole = random_keypoints()
        keypoints = Keypoints(convert(whole.xy), convert(whole.confidence), "coco_17")
        torch.testing.assert_close(keypoints.xy.float(), whole.xy, rtol=1e-3, atol=0)
        assert keypoints.xy.is_floating_point()

    def test_whole_numbers_become_floats(self):
        keypoints = Keypoints(
            np.arange(34).reshape(17, 2), torch.ones(17, dtype=torch.int64), "coco_17"
        )
        assert keypoints.xy.dtype == keypoints.confidence.dtype == torch.float32
        assert keypoints.xy[16].tolist() == [32, 33]

    def test_arguments_are_copied_not_shared(self):
        xy, confidence = np.full((17, 2), 5.0), np.full(17, 1.1)
        keypoints = Keypoints(xy, confidence, "coco_17")
        assert (confidence == 1.1).all()
        xy[:] = 7
        confidence[:] = 0
        assert (keypoints.xy == 5).all()
        assert (keypoints.confidence == 1).all()

    @pytest.mark.parametrize(("given", "kept"), [(0.0, 0.0), (0.3, 0.3), (1.0, 1.0), (1.2, 1.0)])
    def test_confidences_overshoot_a_little(self, given, kept):
        keypoints = Keypoints(torch.ones(17, 2), torch.full((17,), given), "coco_17")
        assert keypoints.confidence.tolist() == pytest.approx([kept] * 17)

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            (-1e-6, r"must lie in \[0, 1\], the smallest is -1e-06"),
            (1.21, r"must lie in \[0, 1\], the largest is 1.21"),
            (85.0, r"must lie in \[0, 1\], the largest is 85"),
            (float("nan"), "a confidence is NaN or infinite; use 0 for a missing point"),
            (float("inf"), "a confidence is NaN or infinite"),
        ],
    )
    def test_other_confidences_are_refused(self, value, words):
        confidence = torch.ones(2, 17)
        confidence[1, 3] = value
        with pytest.raises(ValueError, match=words):
            Keypoints(torch.ones(2, 17, 2), confidence, "coco_17")

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
    def test_only_unseen_points_may_be_anywhere(self, value):
        xy, confidence = torch.ones(17, 2), torch.ones(17)
        xy[4, 1] = value
        with pytest.raises(ValueError, match="confidence above zero has NaN or infinite"):
            Keypoints(xy, confidence, "coco_17")
        confidence[4] = 0
        keypoints = Keypoints(xy, confidence, "coco_17")
        assert keypoints.xy[4].tolist() == [0, 0]
        assert torch.isfinite(keypoints.box()).all()

    @pytest.mark.parametrize(
        ("xy", "confidence"),
        [((17, 3), (17,)), ((16, 2), (16,)), ((17, 2), (16,)), ((17, 2), (2, 17)), ((2,), ())],
    )
    def test_shapes_are_named(self, xy, confidence):
        with pytest.raises(ValueError, match=r"coco_17 keypoints need xy \(\*batch, 17, 2\)"):
            Keypoints(torch.zeros(xy), torch.zeros(confidence), "coco_17")

    @pytest.mark.parametrize("xy", ["text", [["a", "b"]] * 17, [[1, 2], [3]]])
    def test_what_is_no_number_is_refused(self, xy):
        with pytest.raises(ValueError, match="xy must be numbers in a regular grid"):
            Keypoints(xy, torch.ones(17), "coco_17")

    def test_an_unknown_skeleton_is_refused(self):
        with pytest.raises(ValueError, match="unknown skeleton 'coco'; known: smpl_24"):
            Keypoints(torch.ones(17, 2), torch.ones(17), "coco")

    def test_a_known_skeleton_is_kept_by_name(self):
        keypoints = Keypoints(torch.ones(3, 25, 2), torch.ones(3, 25), OPENPOSE_25)
        assert keypoints.skeleton == keypoints[0].skeleton == "openpose_25"

    @pytest.mark.parametrize("name", ["mine", "coco_17"])
    def test_a_skeleton_of_ones_own_is_refused(self, name):
        own = Skeleton(name, {"nose": {"nose": 1.0}})
        with pytest.raises(ValueError, match=f"'{name}' is one of your own.*known here: smpl_24"):
            Keypoints(torch.ones(1, 2), torch.ones(1), own)


class TestIndexing:
    @pytest.mark.parametrize(
        "index", [1, -1, slice(1, 3), [0, 2], torch.tensor([True, False, True])]
    )
    def test_of_one_batch_axis(self, index):
        keypoints = random_keypoints(3)
        some = keypoints[index]
        assert torch.equal(some.xy, keypoints.xy[index])
        assert torch.equal(some.confidence, keypoints.confidence[index])
        assert some.skeleton == "coco_17"

    def test_of_two(self):
        keypoints = random_keypoints(2, 3)
        assert len(keypoints) == 2
        assert len(keypoints[0]) == 3
        assert equal(keypoints[1][2], keypoints[1, 2])

    def test_iterates_over_the_first_axis(self):
        keypoints = random_keypoints(3)
        assert all(equal(one, keypoints[i]) for i, one in enumerate(keypoints))

    def test_points_of_one_person_are_no_axis(self):
        one = random_keypoints()
        for use in (len, iter, lambda k: k[0]):
            with pytest.raises(TypeError, match="single person"):
                list(use(one))


class TestBox:
    @given(seed=st.integers(0, 10**6), threshold=st.floats(0, 1))
    @settings(max_examples=30, deadline=None)
    def test_holds_exactly_the_points_above_the_threshold(self, seed, threshold):
        keypoints = random_keypoints(2, seed=seed)
        for person, box in zip(keypoints, keypoints.box(threshold), strict=True):
            seen = person.xy[person.confidence > threshold]
            if len(seen):
                slow = [*seen.min(0).values.tolist(), *seen.max(0).values.tolist()]
                assert box.tolist() == slow
                size = max(slow[2] - slow[0], slow[3] - slow[1])
                assert float(person.height(threshold)) == pytest.approx(size, rel=1e-5)
            else:
                assert box.isnan().all()
                assert person.height(threshold) == 0


class TestOpenPose:
    @pytest.mark.parametrize("batch", [(), (0,), (1,), (4,)])
    def test_there_and_back(self, tmp_path, batch):
        keypoints = random_keypoints(*batch, skeleton="openpose_25")
        write_openpose_json(keypoints, tmp_path / "a.json")
        back = read_openpose_json(tmp_path / "a.json")
        assert torch.equal(back.xy, keypoints.xy.reshape(-1, 25, 2))
        assert torch.equal(back.confidence, keypoints.confidence.reshape(-1, 25))
        assert back.skeleton == "openpose_25"

    def test_the_layout_is_openpose_s(self, tmp_path):
        keypoints = random_keypoints(2, skeleton="openpose_25")
        write_openpose_json(keypoints, tmp_path / "a.json")
        file = json.loads((tmp_path / "a.json").read_text())
        assert file["version"] == 1.3
        row = file["people"][1]["pose_keypoints_2d"]
        assert row[3 * 4 : 3 * 4 + 2] == keypoints.xy[1, 4].tolist()
        assert row[3 * 4 + 2] == float(keypoints.confidence[1, 4])

    def test_batches_of_images_are_no_file(self, tmp_path):
        with pytest.raises(ValueError, match=r"people, found keypoints with batch axes \(2, 3\)"):
            write_openpose_json(random_keypoints(2, 3), tmp_path / "a.json")
        assert not list(tmp_path.iterdir())

    def test_a_file_before_version_1_2(self, tmp_path):
        row = random_keypoints(1, skeleton="coco_17")
        flat = torch.cat([row.xy, row.confidence[..., None]], -1).flatten().tolist()
        (tmp_path / "a.json").write_text(json.dumps({"people": [{"pose_keypoints": flat}]}))
        assert equal(read_openpose_json(tmp_path / "a.json", "coco_17"), row)

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
    def test_encodings_of_windows(self, tmp_path, encoding):
        (tmp_path / "a.json").write_text('{"people": []}', encoding=encoding)
        assert len(read_openpose_json(tmp_path / "a.json")) == 0

    def test_nan_where_nothing_is_seen(self, tmp_path):
        row = [float("nan"), float("nan"), 0] + [1.0, 2.0, 0.5] * 16
        (tmp_path / "a.json").write_text(json.dumps({"people": [{"pose_keypoints_2d": row}]}))
        assert read_openpose_json(tmp_path / "a.json", "coco_17").xy[0, 0].tolist() == [0, 0]

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda child: (
                st.lists(child, max_size=4)
                | st.dictionaries(
                    st.sampled_from(["people", "pose_keypoints_2d", "pose_keypoints", "x"]), child
                )
            ),
            max_leaves=20,
        )
    )
    @settings(max_examples=200, deadline=None)
    def test_any_json_is_read_or_refused_in_one_line(self, tmp_path_factory, content):
        path = tmp_path_factory.getbasetemp() / "any.json"
        path.write_text(json.dumps(content))
        with contextlib.suppress(ValueError):
            assert len(read_openpose_json(path)) == 0
            return
        with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}: [^\n]+$"):
            read_openpose_json(path)


class TestSelectPerson:
    def people(self, *sizes_and_confidences: tuple[float, float]) -> Keypoints:
        line = torch.linspace(0, 1, 17)[:, None].expand(17, 2)
        return Keypoints(
            torch.stack([size * line for size, _ in sizes_and_confidences]),
            torch.stack([torch.full((17,), c) for _, c in sizes_and_confidences]),
            "coco_17",
        )

    @pytest.mark.parametrize(
        ("people", "chosen"),
        [
            ([(100, 0.5)], 0),
            ([(100, 0.5), (300, 0.5)], 1),
            ([(300, 0.2), (200, 0.9)], 1),
            ([(100, 0.0), (10, 0.5), (300, 0.0)], 1),
            ([(200, 0.5), (200, 0.5)], 0),
        ],
    )
    def test_the_largest_confident_one(self, people, chosen):
        assert select_person(self.people(*people)) == chosen

    def test_the_one_that_is_asked_for(self):
        people = self.people((100, 0.5), (300, 0.5), (200, 0.5))
        assert [select_person(people, i) for i in range(3)] == [0, 1, 2]

    @pytest.mark.parametrize("person", [-1, 2])
    def test_others_are_refused(self, person):
        with pytest.raises(
            ValueError, match=f"no person {person}, the keypoints hold persons 0 to 1"
        ):
            select_person(self.people((100, 0.5), (300, 0.5)), person)

    def test_nobody(self):
        with pytest.raises(ValueError, match="nobody was detected"):
            select_person(random_keypoints(0))
        with pytest.raises(ValueError, match="every confidence is zero"):
            select_person(self.people((100, 0.0)))
        with pytest.raises(ValueError, match="every confidence is zero"):
            select_person(self.people((100, 0.0), (100, 0.5)), 0)
