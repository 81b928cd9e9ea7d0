"""``vh fit`` as its users meet it: what it writes, what it says, what it refuses."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import trimesh
from PIL import ExifTags, Image

from tests.pipelines.conftest import CAMERA, SIZE, UPRIGHT, Case, make_case, standing_person
from tests.random_body import random_model
from tests.smpl_pickles import smpl_dict, write_pickle
from vhlib import cli
from vhlib.body import SMPL, BodyParameters
from vhlib.body.keypoints import write_openpose_json
from vhlib.body.model_files import model_arrays, write_model
from vhlib.body.skeletons import SKELETONS, get_skeleton
from vhlib.data import four_cameras
from vhlib.data.detection import DetectorUnavailable, detect_people
from vhlib.data.photos import Photo, read_photo
from vhlib.geometry import PerspectiveCamera
from vhlib.geometry.rendering import overlay, render_shaded
from vhlib.pipelines.photo import MIN_HEIGHT, OUTPUTS, camera_of, draw_overlay, find_person

FIELDS = {
    "betas": (10,),
    "body_pose": (23, 3, 3),
    "global_orient": (3, 3),
    "transl": (3,),
    "focal_length": (2,),
    "principal_point": (2,),
    "image_size": (2,),
    "skeleton": (),
    "projected_keypoints": (25, 2),
}


def fit(case, *options: object, image=None) -> int:
    """Run ``vh fit`` on the case; later options override the earlier ones."""
    standard = ["--keypoints", case.keypoints, "--focal", 900, "--out", case.out]
    return cli.main(["fit", *map(str, [image or case.photo, *standard, *options])])


def assert_refused(case, capsys, words: str, *options: object, image=None) -> None:
    """Exit code 1, one line on stderr that holds ``words``, nothing printed, nothing written."""
    before = case.files()
    assert fit(case, *options, image=image) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert err.startswith("vh: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert "unexpected" not in err
    assert case.files() == before


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, smpl) -> Case:
    """The case after one fit."""
    case = make_case(tmp_path_factory.mktemp("fitted"), smpl)
    assert fit(case) == 0
    return case


class TestOutputs:
    def test_exactly_the_three_files(self, fitted):
        assert {path.name for path in fitted.out.iterdir()} == set(OUTPUTS)

    def test_the_fields_of_fit_npz(self, fitted):
        with np.load(fitted.out / "fit.npz", allow_pickle=False) as file:
            assert {name: file[name].shape for name in file} == FIELDS
            assert str(file["skeleton"]) == "openpose_25"
            assert file["image_size"].tolist() == list(SIZE)
            assert file["focal_length"].tolist() == [900, 900]

    def test_the_stored_camera_projects_the_stored_body_to_the_stored_points(self, fitted, smpl):
        with np.load(fitted.out / "fit.npz") as file:
            body = {
                name: torch.from_numpy(file[name])
                for name in ("betas", "body_pose", "global_orient", "transl")
            }
            camera = PerspectiveCamera(
                file["focal_length"], file["principal_point"], file["image_size"]
            )
            projected = torch.from_numpy(file["projected_keypoints"])
        points = smpl.keypoints("openpose_25", **body)
        torch.testing.assert_close(camera.project(points), projected, rtol=0, atol=1e-3)
        truth = torch.tensor(fitted.row()).view(25, 3)[:, :2]
        assert (projected - truth).norm(dim=-1).median() < 10

        mesh = trimesh.load(fitted.out / "mesh.ply", process=False)
        vertices = smpl(**body).vertices.numpy()
        np.testing.assert_allclose(mesh.vertices, vertices, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(mesh.faces, smpl.faces.numpy())

    def test_the_overlay_is_the_photo_with_the_body_on_it(self, fitted):
        photo, overlay = (
            np.asarray(Image.open(path)).astype(int)
            for path in (fitted.photo, fitted.out / "overlay.png")
        )
        assert overlay.shape == photo.shape
        changed = (photo != overlay).any(-1)
        pelvis = np.array(fitted.row()).reshape(25, 3)[8, :2].astype(int)
        assert changed[pelvis[1], pelvis[0]]
        assert not changed[:, :10].any()
        assert 0.05 < changed.mean() < 0.4

    def test_the_same_command_writes_the_same_bytes(self, fitted):
        first = {name: (fitted.out / name).read_bytes() for name in ("overlay.png", "mesh.ply")}
        assert fit(fitted) == 0
        assert {name: (fitted.out / name).read_bytes() for name in first} == first

    def test_files_have_the_usual_permissions(self, fitted):
        other = fitted.folder / "other"
        other.touch()
        modes = {(fitted.out / name).stat().st_mode for name in OUTPUTS}
        assert modes == {other.stat().st_mode}

    def test_other_files_in_the_folder_stay(self, fitted):
        note = fitted.out / "note.txt"
        note.write_text("mine")
        assert fit(fitted) == 0
        assert note.read_text() == "mine"
        note.unlink()


@pytest.mark.parametrize(
    "transl",
    [
        (0.1, 0.2, 4.0),
        (0.0, 0.0, 0.4),
        (1.0, -1.0, 4.0),
        (0.0, 0.0, 0.0),
        (9.0, 0.0, 3.0),
        (0.0, 0.0, -3.0),
        (0.0, 0.0, 1e6),
    ],
    ids=["whole", "near", "cut", "around the camera", "out of sight", "behind", "far"],
)
def test_the_overlay_is_that_of_the_whole_frame(smpl, transl):
    """Only the body's window is rendered, which nobody may see."""
    pixels = np.random.default_rng(0).integers(0, 255, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    body = BodyParameters(
        torch.zeros(10), torch.eye(3).expand(23, 3, 3), UPRIGHT, torch.tensor(transl)
    )
    vertices = smpl(**vars(body)).vertices
    whole = overlay(torch.from_numpy(pixels), render_shaded(vertices, smpl.faces, CAMERA))
    drawn = draw_overlay(Photo(pixels), smpl, CAMERA, body)
    np.testing.assert_array_equal(drawn, whole.numpy())


class TestReport:
    def test_says_who_how_and_where(self, case, capsys):
        assert fit(case) == 0
        report = capsys.readouterr().out
        assert "person 0 (the only one)" in report
        assert "focal length 900 px (as given)" in report
        for term in ("energy", "reprojection", "pose_prior", "bending", "shape_prior"):
            assert term in report
        assert "median distance" in report
        assert str(case.out) in report

    def test_the_larger_person_is_taken_and_person_n_chooses(self, case, smpl, capsys):
        far = standing_person(smpl, "openpose_25", depth=7.0, x=-0.8)
        near = standing_person(smpl, "openpose_25", depth=4.0, x=0.6)
        case.write_people(far, near)

        assert fit(case) == 0
        assert "person 1 (the largest confident one of 2;" in capsys.readouterr().out
        with np.load(case.out / "fit.npz") as file:
            assert file["transl"][0] > 0.3

        assert fit(case, "--person", 0) == 0
        assert "person 0 (as asked, of 2)" in capsys.readouterr().out
        with np.load(case.out / "fit.npz") as file:
            assert file["transl"][0] < -0.4

    def test_where_the_focal_length_comes_from(self, case):
        photo = read_photo(case.photo)
        camera, words = camera_of(photo)
        assert camera.focal_length.tolist() == [800, 800]
        assert "guessed: the frame's diagonal" in words

        exif = Image.Exif()
        exif.get_ifd(0x8769)[0xA405] = 43
        Image.new("RGB", SIZE).save(case.folder / "phone.jpg", exif=exif)
        camera, words = camera_of(read_photo(case.folder / "phone.jpg"))
        assert camera.focal_length[0] == pytest.approx(43 / 43.267 * 800, rel=1e-4)
        assert "from EXIF" in words


@pytest.mark.parametrize("skeleton", sorted(SKELETONS))
def test_every_skeleton(case, smpl, skeleton):
    case.write_people(standing_person(smpl, skeleton))
    assert fit(case, "--skeleton", skeleton) == 0
    with np.load(case.out / "fit.npz") as file:
        truth = np.array(case.row()).reshape(-1, 3)[:, :2]
        error = np.linalg.norm(file["projected_keypoints"] - truth, axis=-1)
    assert np.median(error) < 10


def gradient() -> np.ndarray:
    """A grey picture that is darker to the left and at the top, (H, W) in [0, 1]."""
    width, height = SIZE
    return (np.linspace(0, 1, width)[None] + np.linspace(0, 1, height)[:, None]) / 2


def save(path, mode: str) -> None:
    grey = Image.fromarray((255 * gradient()).astype(np.uint8))
    if mode == "I;16":
        Image.fromarray((65535 * gradient()).astype(np.uint16)).save(path)
    elif mode == "RGBA":
        picture = grey.convert("RGB")
        picture.putalpha(128)
        picture.save(path)
    else:
        grey.convert(mode).save(path)


@pytest.mark.parametrize(
    ("name", "mode"),
    [("a.png", mode) for mode in ("1", "L", "P", "LA", "RGB", "RGBA", "I;16")]
    + [("a.jpg", "L"), ("a.jpg", "CMYK"), ("a.tif", "I;16"), ("a.gif", "P"), ("a.webp", "RGBA")],
)
def test_pictures_of_every_kind_look_right(tmp_path, name, mode):
    save(tmp_path / name, mode)
    pixels = read_photo(tmp_path / name).pixels
    assert pixels.shape == (SIZE[1], SIZE[0], 3)
    assert pixels.dtype == np.uint8
    blocks = pixels.reshape(8, 80, 8, 60, 3).mean((1, 3, 4)) / 255
    truth = gradient().reshape(8, 80, 8, 60).mean((1, 3))
    assert np.abs(blocks - truth).max() < 0.06


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(tmp_path, orientation):
    """The stored picture is the upright one with EXIF's transformation undone."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    upright = Image.fromarray((255 * gradient()).astype(np.uint8)).convert("RGB")
    upright.paste((255, 0, 0), (0, 0, 60, 30))
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.png", exif=exif)

    photo = read_photo(tmp_path / "a.png")

    assert photo.size == SIZE
    np.testing.assert_array_equal(photo.pixels, np.asarray(upright))


@pytest.mark.parametrize(
    ("value", "read"),
    [(28, 28.0), (0, None), (1, None), (65535, None), ("wide", None), ((28, 35), None)],
    ids=str,
)
def test_senseless_focal_lengths_in_exif_are_ignored(tmp_path, value, read):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = value
    Image.new("RGB", SIZE).save(tmp_path / "a.jpg", exif=exif)
    assert read_photo(tmp_path / "a.jpg").focal_35mm == read


class TestBadPictures:
    def test_missing(self, case, capsys):
        assert_refused(case, capsys, "no.png: No such file", image=case.folder / "no.png")

    def test_a_directory(self, case, capsys):
        assert_refused(case, capsys, "Is a directory", image=case.folder)

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", "is empty, expected a picture"),
            (b"hello", "isn't a picture that Pillow can read; save it as JPEG or PNG"),
            (b"\x89PNG\r\n\x1a\n", "photo.png"),
            (b"\x00" * 10_000, "isn't a picture"),
            (b"%PDF-1.7\n", "isn't a picture"),
            (
                b"\x00\x00\x00\x18ftypheic" + b"\x00" * 100,
                "is a HEIC file, which Pillow can't read",
            ),
        ],
    )
    def test_something_else(self, case, capsys, content, words):
        case.photo.write_bytes(content)
        assert_refused(case, capsys, words)

    @pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp", "a.bmp"])
    @pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
    def test_truncated(self, case, capsys, name, share):
        path = case.folder / name
        noise = np.random.default_rng(0).integers(0, 255, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        assert_refused(case, capsys, name, image=path)


class TestBadKeypoints:
    def test_missing(self, case, capsys):
        assert_refused(
            case, capsys, "no.json: No such file", "--keypoints", case.folder / "no.json"
        )

    def test_a_directory(self, case, capsys):
        assert_refused(case, capsys, "Is a directory", "--keypoints", case.folder)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "not a JSON file"),
            ("{", "not a JSON file"),
            ("\x00\x01", "not a JSON file"),
            ("[" * 100_000, "not a JSON file"),
            ("9" * 5000, "not a JSON file"),
            ("[1, 2, 3]", "not an OpenPose file"),
            ("null", "not an OpenPose file"),
            ('{"annotations": []}', "not an OpenPose file"),
            ('{"people": {}}', "not an OpenPose file"),
            ('{"people": "nobody"}', "not an OpenPose file"),
            ('{"people": []}', "nobody was detected"),
            ('{"people": [null]}', "no list pose_keypoints_2d"),
            ('{"people": [{"face_keypoints_2d": []}]}', "no list pose_keypoints_2d"),
            ('{"people": [{"pose_keypoints_2d": {"0": 1}}]}', "no list pose_keypoints_2d"),
            ('{"people": [{"pose_keypoints_2d": []}]}', "needs 75 numbers, found 0"),
        ],
    )
    def test_another_kind_of_file(self, case, capsys, text, words):
        case.keypoints.write_text(text)
        assert_refused(case, capsys, words)

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ("7", "something that isn't a number"),
            (None, "something that isn't a number"),
            (True, "something that isn't a number"),
            ([1.0], "something that isn't a number"),
            (10**400, "a number that is too large"),
            (1e39, "NaN or infinite coordinates"),
            (float("inf"), "NaN or infinite coordinates"),
            (float("nan"), "NaN or infinite coordinates"),
        ],
        ids=str,
    )
    def test_wrong_values(self, case, capsys, value, words):
        row = case.row()
        row[3] = value
        case.write_people(row)
        assert_refused(case, capsys, words)

    @pytest.mark.parametrize(
        ("confidence", "words"),
        [
            (-0.1, "confidences must lie in [0, 1], the smallest is -0.1"),
            (85.0, "confidences must lie in [0, 1], the largest is 85"),
            (float("nan"), "a confidence is NaN or infinite"),
            (float("inf"), "a confidence is NaN or infinite"),
        ],
    )
    def test_wrong_confidences(self, case, capsys, confidence, words):
        row = case.row()
        row[2] = confidence
        case.write_people(row)
        assert_refused(case, capsys, words)

    @pytest.mark.parametrize("person", [(), ("--person", 0)])
    def test_nothing_is_seen(self, case, capsys, person):
        row = np.array(case.row())
        row[2::3] = 0
        case.write_people(row.tolist())
        assert_refused(case, capsys, "no keypoint is seen", *person)

    def test_one_point_is_seen(self, case, capsys):
        row = np.array(case.row())
        row[5::3] = 0
        case.write_people(row.tolist())
        assert_refused(case, capsys, "all seen keypoints lie in one place")

    def test_nothing_is_seen_well(self, case, capsys):
        row = np.array(case.row())
        row[2::3] = 0.1
        case.write_people(row.tolist())
        assert_refused(case, capsys, "fewer than two different places")

    def test_all_points_in_one_place(self, case, capsys):
        case.write_people([100.0, 100.0, 0.9] * 25)
        assert_refused(case, capsys, "all seen keypoints lie in one place")

    def test_all_points_outside_the_picture(self, case, capsys):
        row = np.array(case.row())
        row[0::3] += 1000
        case.write_people(row.tolist())
        assert_refused(case, capsys, "all keypoints lie outside the 480 x 640 picture")

    @pytest.mark.parametrize("length", [0, 1, 51, 74, 76, 150])
    def test_a_wrong_length(self, case, capsys, length):
        case.write_people((case.row() * 2)[:length])
        assert_refused(case, capsys, f"needs 75 numbers, found {length};")

    def test_a_wrong_length_names_the_skeletons_that_fit(self, case, capsys):
        case.write_people(case.row()[:51])
        assert_refused(case, capsys, "is it coco_17 or h36m_17?")

    def test_an_unknown_skeleton(self, case, capsys):
        assert_refused(
            case, capsys, "unknown skeleton 'body_25'; known: smpl_24,", "--skeleton", "body_25"
        )

    @pytest.mark.parametrize("person", [1, -1, 10**30])
    def test_an_unknown_person(self, case, capsys, person):
        words = f"there is no person {person}, the keypoints hold only person 0"
        assert_refused(case, capsys, words, "--person", person)

    @pytest.mark.parametrize("person", ["first", "0.5", ""])
    def test_a_person_that_is_no_number(self, case, capsys, person):
        assert_refused(case, capsys, f"--person is {person!r}", "--person", person)


class TestBadCameras:
    @pytest.mark.parametrize("focal", ["0", "-900", "nan", "inf", "1e400", "28", "1e9"])
    def test_values(self, case, capsys, focal):
        words = "isn't plausible for a 480 x 640 picture, expected 80 to 80000"
        assert_refused(case, capsys, words, "--focal", focal)

    def test_text(self, case, capsys):
        assert_refused(case, capsys, "--focal is '28mm', expected a number", "--focal", "28mm")


class TestBadModels:
    def test_a_missing_file(self, case, capsys):
        assert_refused(case, capsys, "no body model 'smpl.npz'", "--model", "smpl.npz")

    def test_a_file_that_is_no_model(self, case, capsys):
        assert_refused(case, capsys, "photo.png", "--model", case.photo)

    def test_a_model_without_landmarks_for_the_skeleton(self, case, capsys):
        path = case.folder / "small.npz"
        arrays = model_arrays(random_model(num_vertices=300))
        np.savez(path, **{k: v for k, v in arrays.items() if not k.startswith("landmark")})
        words = "small.npz: openpose_25 needs the landmark vertices left_big_toe, left_ear,"
        assert_refused(case, capsys, words, "--model", path)

    def test_a_model_with_another_tree(self, case, capsys):
        path = case.folder / "hands.npz"
        write_model(random_model(num_vertices=300, num_joints=52), path)
        assert_refused(case, capsys, "hands.npz", "--model", path)


def test_own_models(case):
    """A body of SMPL's exact sizes, as those who hold a licence have it: pickle or npz."""
    model = random_model()
    pickle, npz = case.folder / "model.pkl", case.folder / "model.npz"
    write_pickle(smpl_dict(model), pickle, python2=True)
    assert cli.main(["convert-model", str(pickle), str(npz)]) == 0
    case.write_people(standing_person(SMPL(model), "openpose_25"))

    assert fit(case, "--model", pickle, "--out", case.folder / "of_pickle") == 0
    assert fit(case, "--model", npz) == 0

    assert len(trimesh.load(case.out / "mesh.ply", process=False).vertices) == 6890
    with np.load(case.out / "fit.npz") as file:
        error = file["projected_keypoints"] - np.array(case.row()).reshape(25, 3)[:, :2]
        assert file["betas"].shape == (10,)
    assert np.median(np.linalg.norm(error, axis=-1)) < 10
    meshes = (case.folder / out / "mesh.ply" for out in ("out", "of_pickle"))
    of_npz, of_pickle = (trimesh.load(mesh, process=False).vertices for mesh in meshes)
    assert np.abs(of_npz - of_pickle).max() < 0.005, "float64 against float32 on disk"


class TestBlockedOutputs:
    def test_out_is_a_file(self, case, capsys):
        case.out.write_text("mine")
        assert_refused(case, capsys, "out is a file, expected a folder to write to")
        assert case.out.read_text() == "mine"

    def test_a_parent_is_a_file(self, case, capsys):
        assert_refused(case, capsys, "photo.png is a file", "--out", case.photo / "deep" / "er")

    @pytest.mark.parametrize("name", OUTPUTS)
    def test_a_folder_in_the_way(self, case, capsys, name):
        (case.out / name).mkdir(parents=True)
        assert_refused(case, capsys, f"{name} is a folder in the way")

    def test_a_read_only_folder(self, case, capsys):
        if os.geteuid() == 0:
            pytest.skip("root may write into read-only folders")
        case.out.mkdir(mode=0o500)
        assert_refused(case, capsys, "out: can't be written to: Permission denied")

    def test_a_folder_where_nobody_may_write(self, case, capsys):
        if not os.path.isdir("/proc/self"):
            pytest.skip("needs Linux's /proc, where not even root makes files")
        assert_refused(case, capsys, "/proc: can't be written to", "--out", "/proc/vhlib_out")

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
    def test_a_disk_that_fills_up(self, case):
        """A limit on file sizes stops the writing in the midst of mesh.ply, the second file."""
        case.out.mkdir()
        (case.out / "overlay.png").write_text("old")
        before = case.files()
        program = (
            "import resource, sys; from vhlib import cli; "
            "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000)); "
            "sys.exit(cli.main(sys.argv[1:]))"
        )
        command = [sys.executable, "-c", program, "fit", str(case.photo)]
        command += ["--keypoints", str(case.keypoints), "--out", str(case.out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert os.strerror(errno.EFBIG) in done.stderr
        assert done.stderr.count("\n") == 1
        assert case.files() == before
        assert (case.out / "overlay.png").read_text() == "old"


@pytest.mark.real_data
def test_a_real_frame_with_real_openpose_keypoints(tmp_path, capsys):
    clip = four_cameras.load()
    case = Case(tmp_path)
    Image.fromarray(clip.frame(1, 40)).save(case.photo)
    write_openpose_json(clip.keypoints(1, [40]), case.keypoints)

    assert fit(case, "--skeleton", "openpose_25b", "--focal", 1681) == 0

    assert "person 0" in capsys.readouterr().out
    with np.load(case.out / "fit.npz") as file:
        seen = clip.keypoints(1, [40])[0]
        error = (torch.from_numpy(file["projected_keypoints"]) - seen.xy).norm(dim=-1)
    assert error[seen.confidence > 0.3].median() < 0.02 * seen.height()


class TestWithoutKeypoints:
    """``vh fit PHOTO``: our own detector looks for the person."""

    @pytest.mark.real_data
    def test_a_real_frame(self, tmp_path, capsys):
        clip = four_cameras.load()
        case = Case(tmp_path)
        Image.fromarray(clip.frame(1, 40)).save(case.photo)
        assert cli.main(["fit", str(case.photo), "--focal", "1681", "--out", str(case.out)]) == 0
        report = capsys.readouterr().out
        assert "found by BlazePose on this machine: the photo goes nowhere" in report
        with np.load(case.out / "fit.npz") as file:
            assert str(file["skeleton"]) == "blazepose_33"
            found = torch.from_numpy(file["projected_keypoints"])
        seen = clip.keypoints(1)[40]
        limbs = four_cameras.LIMB_JOINTS
        ours = found[get_skeleton("blazepose_33").indices(*limbs)]
        theirs = seen.xy[get_skeleton("openpose_25b").indices(*limbs)]
        assert (ours - theirs).norm(dim=-1).median() < 0.03 * seen.height()

    @pytest.mark.real_data
    def test_somebody_small_is_found_where_nobody_else_is(self, tmp_path):
        """A thirteenth of the picture's side tall; larger people are looked for first."""
        frame = Image.fromarray(four_cameras.load().frame(3, 20))
        small = frame.resize((frame.width // 5, frame.height // 5))
        picture = Image.new("RGB", (1920, 1920), (90, 110, 130))
        picture.paste(small, (700, 600))
        picture.save(tmp_path / "far.png")
        assert len(detect_people(np.asarray(picture), min_height=MIN_HEIGHT)) == 0
        photo = read_photo(tmp_path / "far.png")
        person, _ = find_person(tmp_path / "far.png", photo, None)
        assert float(person.height()) == pytest.approx(1920 / 13, rel=0.2)

    @pytest.mark.real_data
    @pytest.mark.parametrize("options", [(), ("--person", "1")])
    def test_nobody(self, case, capsys, options):
        Image.new("RGB", (300, 200), "seagreen").save(case.photo)
        before = case.files()
        assert cli.main(["fit", str(case.photo), "--out", str(case.out), *options]) == 1
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert "photo.png: the detector finds nobody" in err
        assert case.files() == before

    @pytest.mark.real_data
    def test_no_such_person(self, tmp_path, capsys):
        case = Case(tmp_path)
        Image.fromarray(four_cameras.load().frame(3, 0)).save(case.photo)
        assert cli.main(["fit", str(case.photo), "--person", "7", "--out", str(case.out)]) == 1
        assert "photo.png: there is no person 7" in capsys.readouterr().err

    @pytest.mark.real_data
    def test_of_several_people_the_largest_is_taken_or_the_one_asked_for(self, tmp_path, capsys):
        clip, case = four_cameras.load(), Case(tmp_path)
        pictures = clip.frame(1, 60), clip.frame(3, 20)
        height = min(picture.shape[0] for picture in pictures)
        Image.fromarray(np.hstack([p[:height] for p in pictures])).save(case.photo)
        middles = []
        for options in ((), ("--person", "0"), ("--person", "1")):
            arguments = ["fit", str(case.photo), "--out", str(case.out), *options]
            assert cli.main(arguments) == 0
            with np.load(case.out / "fit.npz") as file:
                middles.append(file["projected_keypoints"][:, 0].mean())
        report = capsys.readouterr().out
        assert "the largest confident one of 2; --person N takes another, 0 to 1" in report
        assert {middle < pictures[0].shape[1] for middle in middles} == {True, False}

    @pytest.mark.real_data
    @pytest.mark.parametrize("mode", ["L", "CMYK", "RGBA", "turned"])
    def test_unusual_pictures_of_the_same_person(self, tmp_path, mode):
        picture = Image.fromarray(four_cameras.load().frame(1, 60))
        path = tmp_path / ("a.png" if mode in ("L", "RGBA") else "a.jpg")
        exif = Image.Exif()
        if mode == "turned":
            exif[ExifTags.Base.Orientation] = 6
            picture = picture.rotate(90, expand=True)
        else:
            picture = picture.convert(mode)
        picture.save(path, exif=exif)
        assert cli.main(["fit", str(path), "--out", str(tmp_path / "out")]) == 0
        with np.load(tmp_path / "out" / "fit.npz") as file:
            found = torch.from_numpy(file["projected_keypoints"])
        seen = four_cameras.load().keypoints(1)[60]
        limbs = four_cameras.LIMB_JOINTS
        ours = found[get_skeleton("blazepose_33").indices(*limbs)]
        theirs = seen.xy[get_skeleton("openpose_25b").indices(*limbs)]
        assert (ours - theirs).norm(dim=-1).median() < 0.04 * seen.height()

    @pytest.mark.real_data
    def test_an_animal_is_nobody_and_half_a_person_is_somebody(self, tmp_path, capsys):
        data = pytest.importorskip("skimage.data")
        for name, code in (("cat", 1), ("astronaut", 0)):
            Image.fromarray(getattr(data, name)()).save(tmp_path / f"{name}.png")
            arguments = ["fit", str(tmp_path / f"{name}.png"), "--out", str(tmp_path / name)]
            assert cli.main(arguments) == code
        assert "cat.png: the detector finds nobody" in capsys.readouterr().err

    def test_without_the_detector_s_package(self, case, capsys, monkeypatch):
        def unavailable(*_, **__):
            raise DetectorUnavailable("LiteRT isn't installed: pip install 'vhlib[detect]'")

        monkeypatch.setattr("vhlib.pipelines.photo.detect_people", unavailable)
        assert cli.main(["fit", str(case.photo), "--out", str(case.out)]) == 1
        assert "pip install 'vhlib[detect]'" in capsys.readouterr().err
