import numpy as np
import pytest
import torch

from vhlib.data.amass import read_amass_folder, read_amass_subject


def write_clip(path, frames=5, seed=0, **changes):
    """A clip as the SMPL+H release has it."""
    poses = np.random.default_rng(seed).normal(size=(frames, 156)) * 0.3
    arrays = {
        **{"poses": poses, "trans": np.zeros((frames, 3)), "mocap_framerate": np.array(120.0)},
        **{"betas": np.arange(16.0), "gender": np.array("female"), "dmpls": np.zeros((frames, 8))},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **(arrays | changes))
    return poses


@pytest.fixture
def dataset(tmp_path):
    """Two subjects, one in SMPL+H's layout and one in SMPL-X's, each with a file of their own."""
    write_clip(tmp_path / "CMU" / "01" / "01_01_poses.npz")
    write_clip(tmp_path / "CMU" / "01" / "01_02.5 - run_poses.npz", frames=13, seed=1)
    write_clip(tmp_path / "SSM" / "a" / "kick_stageii.npz", seed=2)
    person = {"gender": np.array(b"male"), "betas": np.zeros(16)}
    np.savez(tmp_path / "CMU" / "01" / "shape.npz", **person)
    np.savez(tmp_path / "SSM" / "a" / "male_stagei.npz", **person)
    return tmp_path


def test_a_folder_gives_its_clips_by_path(dataset):
    motions = read_amass_folder(dataset)
    assert list(motions) == [
        "CMU/01/01_01_poses",
        "CMU/01/01_02.5 - run_poses",
        "SSM/a/kick_stageii",
    ]
    assert [len(motion) for motion in motions.values()] == [5, 13, 5]
    assert all(motion.name == name for name, motion in motions.items())
    assert not torch.equal(
        motions["CMU/01/01_01_poses"].rotations[0], motions["SSM/a/kick_stageii"].rotations[0]
    )


def test_a_folder_at_one_frame_rate(dataset):
    motions = read_amass_folder(dataset / "CMU", fps=30.0)
    assert [(len(motion), motion.fps) for motion in motions.values()] == [(2, 30.0), (4, 30.0)]


def test_a_bad_clip_in_a_folder_is_named(dataset):
    np.savez(dataset / "CMU" / "01" / "notes.npz", text=np.zeros(3))
    with pytest.raises(ValueError, match=r"notes\.npz: no poses and no trans"):
        read_amass_folder(dataset)


def test_folders_without_clips_are_named(tmp_path):
    with pytest.raises(ValueError, match="no clip"):
        read_amass_folder(tmp_path)
    with pytest.raises(NotADirectoryError, match="isn't a folder"):
        read_amass_folder(tmp_path / "none")


@pytest.mark.parametrize("gender", ["female", b"female", ["female"]])
def test_the_person_of_a_clip(tmp_path, gender):
    write_clip(tmp_path / "clip.npz", gender=np.array(gender))
    subject = read_amass_subject(tmp_path / "clip.npz")
    assert subject.gender == "female"
    assert torch.equal(subject.betas, torch.arange(16.0))


def test_the_person_of_a_subjects_file(dataset):
    assert read_amass_subject(dataset / "SSM" / "a" / "male_stagei.npz").gender == "male"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gender": np.array("unknown")}, "gender is 'unknown', expected one of neutral"),
        ({"gender": np.array(["male", "female"])}, "gender is .'male', 'female'."),
        ({"gender": np.array(b"\xff")}, "expected one of"),
        ({"gender": np.array("male", dtype=object)}, "not a readable npz"),
        ({"betas": np.zeros((1, 16))}, r"betas are float64 \(1, 16\)"),
        ({"betas": np.array(["a"])}, "betas are <U1"),
    ],
)
def test_a_person_that_is_none_is_named(tmp_path, changes, message):
    write_clip(tmp_path / "clip.npz", **changes)
    with pytest.raises(ValueError, match=message) as caught:
        read_amass_subject(tmp_path / "clip.npz")
    assert "clip.npz" in str(caught.value)


def test_a_clip_without_a_person_is_named(tmp_path):
    np.savez(tmp_path / "clip.npz", poses=np.zeros((2, 72)))
    with pytest.raises(ValueError, match="no gender and no betas"):
        read_amass_subject(tmp_path / "clip.npz")
