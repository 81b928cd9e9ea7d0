import io
import os
import pickle
import zipfile
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse

import vhlib
from tests.random_body import as_smplx, random_model
from tests.smpl_pickles import chumpy_array, chumpy_slice, smpl_dict, write_pickle
from tests.toy_body import toy_model
from vhlib.body.model_data import model_arrays
from vhlib.body.model_files import (
    BodyModelData,
    ModelFileError,
    convert_model,
    find_model,
    read_model,
    write_model,
)
from vhlib.body.skeletons import SMPL_24, SMPL_LANDMARK_VERTICES, SMPL_PARENTS, SMPLX_45

ARRAYS = ("v_template", "faces", "lbs_weights", "shapedirs", "posedirs", "J_regressor")
MODEL = random_model(num_vertices=60, num_joints=24, num_shapes=12)


def assert_same_body(found: BodyModelData, expected: BodyModelData, tolerance: float = 0) -> None:
    for name in ARRAYS:
        values, wanted = getattr(found, name), getattr(expected, name)
        np.testing.assert_allclose(values, wanted, rtol=tolerance, atol=tolerance, err_msg=name)
    assert found.parents == expected.parents


def write_npz(path: Path, **changes: np.ndarray | None) -> Path:
    """An npz of the toy body with some arrays changed, or left out where None."""
    arrays = model_arrays(toy_model()) | changes
    np.savez(path, **{key: array for key, array in arrays.items() if array is not None})
    return path


def error_of(path: Path, kind: type[Exception] = ModelFileError) -> str:
    with pytest.raises(kind) as caught:
        read_model(path)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 1000
    assert path.name in message
    return message


# --- what is read ---------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # numpy's own, of np.matrix
@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "regressor",
    [
        *(sparse.csc_matrix, sparse.csr_matrix, sparse.coo_matrix, sparse.csc_array),
        *(np.asarray, np.asfortranarray, np.matrix),
    ],
)
def test_pickles_of_every_protocol_and_regressor(tmp_path, protocol, regressor):
    path = write_pickle(smpl_dict(MODEL, regressor), tmp_path / "model.pkl", protocol)
    assert_same_body(read_model(path), MODEL)


@pytest.mark.parametrize("protocol", range(3))
@pytest.mark.parametrize("regressor", [sparse.csc_matrix, sparse.coo_matrix, np.asarray])
def test_python_2_pickles(tmp_path, protocol, regressor):
    content = smpl_dict(MODEL, regressor)
    path = write_pickle(content, tmp_path / "model.pkl", protocol, python2=True)
    data = path.read_bytes()
    assert b"numpy.core.multiarray" in data
    assert b"numpy._core" not in data
    assert_same_body(read_model(path), MODEL)


@pytest.mark.parametrize("protocol", range(6))
def test_chumpy_arrays_and_slices(tmp_path, protocol):
    content = smpl_dict(MODEL)
    wide = np.concatenate([MODEL.shapedirs, MODEL.shapedirs], axis=-1)
    content["shapedirs"] = chumpy_slice(wide, 0, 12)
    content["v_template"] = chumpy_array(MODEL.v_template)
    path = write_pickle(content, tmp_path / "model.pkl", protocol, python2=protocol < 3)
    assert b"chumpy" in path.read_bytes()
    assert_same_body(read_model(path), MODEL)


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_of_all_that_our_npz_holds(tmp_path, protocol):
    arrays = model_arrays(replace(toy_model(), provenance="built by hand: \u00e9, \U0001f9cd"))
    npz, own = tmp_path / "model.npz", tmp_path / "own.pkl"
    np.savez(npz, **arrays)
    with np.load(npz) as stored:
        own.write_bytes(pickle.dumps(dict(stored), protocol))

    convert_model(own, tmp_path / "converted.npz")

    with np.load(tmp_path / "converted.npz") as converted:
        assert set(converted) == set(arrays)
        for key, array in arrays.items():
            np.testing.assert_array_equal(converted[key], array, err_msg=key)


def test_the_other_byte_order_of_a_pickled_text(tmp_path):
    names = model_arrays(toy_model())["landmark_names"]
    content = smpl_dict(toy_model()) | {
        "landmark_names": names.astype(names.dtype.newbyteorder(">")),
        "landmark_vertices": np.array(list(toy_model().landmarks.values())),
    }
    read = read_model(write_pickle(content, tmp_path / "model.pkl"))
    assert read.landmarks == toy_model().landmarks


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4", ">f8"])
def test_every_float_type(tmp_path, dtype):
    content = {
        key: value.astype(dtype) if getattr(value, "dtype", None) == np.float64 else value
        for key, value in smpl_dict(MODEL, np.asarray).items()
    }
    pickled = read_model(write_pickle(content, tmp_path / "model.pkl"))
    np.savez(tmp_path / "model.npz", **content)
    for model in (pickled, read_model(tmp_path / "model.npz")):
        assert all(getattr(model, name).dtype in (np.float64, np.int64) for name in ARRAYS)
        assert_same_body(model, MODEL, tolerance=1e-3)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint32", "int64", "uint64", ">u4"])
def test_every_integer_type_of_the_tree(tmp_path, dtype):
    tree = np.array([[-1, 0], [0, 1]]).astype(dtype)
    assert read_model(write_npz(tmp_path / "model.npz", kintree_table=tree)).parents == (-1, 0)


def test_an_unsigned_root_that_was_widened(tmp_path):
    tree = np.array([[2**32 - 1, 0], [0, 1]], dtype=np.int64)
    assert read_model(write_npz(tmp_path / "model.npz", kintree_table=tree)).parents == (-1, 0)


@pytest.mark.parametrize(("vertices", "joints", "shapes"), [(8, 1, 0), (30, 5, 300), (200, 55, 16)])
def test_any_size(tmp_path, vertices, joints, shapes):
    model = random_model(vertices, joints, shapes)
    for protocol in (2, 5):
        path = write_pickle(smpl_dict(model), tmp_path / "model.pkl", protocol)
        assert_same_body(read_model(path), model)
    write_model(model, tmp_path / "model.npz")
    found = read_model(tmp_path / "model.npz")
    assert_same_body(found, model, tolerance=1e-6)
    assert (found.num_vertices, found.num_joints) == (vertices, joints)
    assert found.num_shape_components == shapes


def test_foreign_keys_are_ignored_even_if_they_hold_objects(tmp_path):
    extra = {"joint2num": np.array({"pelvis": 0}, dtype=object), "bs_type": np.array("lrotmin")}
    assert_same_body(read_model(write_npz(tmp_path / "model.npz", **extra)), toy_model())
    content = smpl_dict(MODEL) | {"info": {(1, 2): "a", 3: {4.5}}, 7: None, "ids": {1, 2}}
    assert_same_body(read_model(write_pickle(content, tmp_path / "model.pkl")), MODEL)


def test_landmarks_are_stored_or_smpls_own_or_none(tmp_path):
    without = {"landmark_names": None, "landmark_vertices": None}
    assert read_model(write_npz(tmp_path / "a.npz", **without)).landmarks == {}
    assert read_model(write_npz(tmp_path / "b.npz")).landmarks == toy_model().landmarks
    full_size = write_pickle(smpl_dict(random_model()), tmp_path / "c.pkl")
    assert read_model(full_size).landmarks == SMPL_LANDMARK_VERTICES


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"posedirs": None}, "posedirs"),
        ({"weights": None, "f": None}, "weights, f"),
        ({"v_template": np.zeros((3, 3))}, "weights has shape (2, 2)"),
        ({"v_template": np.zeros(6)}, "v_template has shape (6,)"),
        ({"v_template": np.zeros((2, 2))}, "v_template has shape (2, 2)"),
        ({"posedirs": np.zeros((2, 3, 18))}, "posedirs has shape (2, 3, 18)"),
        ({"posedirs": np.zeros((9, 6))}, "posedirs has shape (9, 6)"),
        ({"J_regressor": np.eye(3)}, "J_regressor has shape (3, 3)"),
        ({"kintree_table": np.zeros((2, 3), int)}, "kintree_table has shape (2, 3)"),
        ({"f": np.zeros((4, 4), int)}, "f has shape (4, 4)"),
        ({"f": np.array([[0, 1, 2]])}, "f has ids from 0 to 2"),
        ({"f": np.array([[0, 1, -1]])}, "f has ids from -1 to 1"),
        ({"f": np.array([[0.0, 1.0, 1.0]])}, "f holds float64"),
        ({"weights": np.array([[1, 0], [0.5, 0.6]])}, "weights has a row"),
        ({"weights": np.array([[1, 0], [-0.5, 1.5]])}, "weights go down to -0.5"),
        ({"v_template": np.full((2, 3), np.nan)}, "v_template holds 6 values"),
        ({"shapedirs": np.full((2, 3, 1), np.inf)}, "shapedirs holds 6 values"),
        ({"J_regressor": np.full((2, 2), 1e300)}, "J_regressor holds 4 values"),
        ({"v_template": np.full((2, 3), "a")}, "v_template holds <U1"),
        ({"v_template": np.zeros((2, 3), complex)}, "v_template holds complex128"),
        ({"v_template": np.zeros((2, 3), "f4,i4")}, "v_template"),
        ({"v_template": np.full((2, 3), None)}, "convert-model"),
        ({"kintree_table": np.array([[0, 0], [0, 1]])}, "joint 0 the parent 0"),
        ({"kintree_table": np.array([[-1, -1], [0, 1]])}, "joint 1 the parent -1"),
        ({"kintree_table": np.array([[-1, 1], [0, 1]])}, "joint 1 the parent 1"),
        ({"kintree_table": np.array([[-1, 7], [0, 1]])}, "joint 1 the parent 7"),
        ({"kintree_table": np.array([[-1, 0], [1, 0]])}, "second row"),
        ({"kintree_table": np.array([[-1.0, 0], [0, 1]])}, "kintree_table holds float64"),
        ({"landmark_names": np.array(["nose"])}, "landmark_vertices has shape (2,)"),
        ({"landmark_names": np.array(["nose", "tail"])}, "tail"),
        ({"landmark_names": np.array(["nose", "nose"])}, "'nose', expected each at most once"),
        ({"landmark_names": np.array(["x" * 9999, "\x1b[2J"])}, "landmark_names has 'xxx"),
        ({"landmark_vertices": np.array([0, 2])}, "landmark_vertices has ids from 0 to 2"),
        ({"uv": np.zeros((4, 3)), "uv_faces": np.zeros((1, 3), int)}, "uv has shape (4, 3)"),
        ({"uv": np.zeros((4, 2)), "uv_faces": np.array([[0, 1, 4]])}, "uv_faces has ids"),
        ({"part_labels": np.zeros(5, int)}, "part_labels has shape (5,)"),
    ],
)
def test_a_broken_rule_is_named(tmp_path, changes, words):
    assert words in error_of(write_npz(tmp_path / "model.npz", **changes))


@pytest.mark.parametrize("key", ["landmark_names", "provenance"])
@pytest.mark.parametrize("kind", ["npz", "pkl"])
def test_numbers_that_stand_for_no_letter_are_refused(tmp_path, key, kind):
    arrays = model_arrays(toy_model())
    nothing = np.full(2, 0x110000, np.uint32).view("U1")
    arrays[key] = nothing if key == "landmark_names" else nothing[:1].reshape(())
    path = tmp_path / f"model.{kind}"
    if kind == "npz":
        np.savez(path, **arrays)
    else:
        path.write_bytes(pickle.dumps(arrays))
    assert f"{key} holds no text" in error_of(path)


def test_a_cycle_is_refused(tmp_path):
    content = smpl_dict(MODEL)
    content["kintree_table"] = content["kintree_table"].copy()
    content["kintree_table"][0, 1:3] = 2, 1
    assert "joint 1 the parent 2" in error_of(write_pickle(content, tmp_path / "model.pkl"))


@pytest.mark.parametrize(
    "changes",
    [
        {"uv": np.zeros((3, 2))},
        {"uv_faces": np.zeros((1, 3), int)},
        {"landmark_names": None},
        {"landmark_vertices": None},
    ],
)
def test_half_of_a_pair_is_refused(tmp_path, changes):
    assert "alone" in error_of(write_npz(tmp_path / "model.npz", **changes))


def test_empty_models_are_refused(tmp_path):
    model = replace(
        toy_model(),
        v_template=np.zeros((0, 3)),
        faces=np.zeros((0, 3), np.int64),
        lbs_weights=np.zeros((0, 2)),
        shapedirs=np.zeros((0, 3, 2)),
        posedirs=np.zeros((0, 3, 9)),
        J_regressor=np.zeros((2, 0)),
        landmarks={},
    )
    np.savez(tmp_path / "model.npz", **model_arrays(model))
    assert "0 vertices" in error_of(tmp_path / "model.npz")


def test_weights_may_miss_one_by_rounding_only(tmp_path):
    rounded = np.array([[1, 0], [0.2502, 0.7502]])
    assert read_model(write_npz(tmp_path / "a.npz", weights=rounded)).num_vertices == 2
    error_of(write_npz(tmp_path / "b.npz", weights=rounded * 1.002))


def test_files_that_are_no_models(tmp_path):
    assert "no model file" in error_of(tmp_path / "missing.npz", FileNotFoundError)
    (tmp_path / "folder.npz").mkdir()
    assert "folder" in error_of(tmp_path / "folder.npz")
    for name, data in {
        "empty.npz": b"",
        "text.pkl": b"hello, this is a text file\n",
        "page.pkl": b"<!DOCTYPE html><html><body>Please sign in</body></html>",
        "json.pkl": b'{"v_template": []}',
        "zip.npz": b"PK\x05\x06" + bytes(18),
        "noise.pkl": np.random.default_rng(0).bytes(5000),
        "zeros.npz": bytes(5000),
        "list.pkl": pickle.dumps([1, 2]),
        "number.pkl": pickle.dumps(3),
        "dict.pkl": pickle.dumps({"v_template": [[0, 0, 0]]}),
    }.items():
        (tmp_path / name).write_bytes(data)
        error_of(tmp_path / name)


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = write_npz(tmp_path / "model.npz")

    def deny(*_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", deny)
    assert "Permission denied" in error_of(path)


def test_a_device_or_pipe_is_not_waited_for(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("the system has no named pipes")
    os.mkfifo(tmp_path / "pipe.pkl")
    assert "device" in error_of(tmp_path / "pipe.pkl")


@pytest.mark.parametrize("kept", [1, 2, 10, 100, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("kind", ["npz", "pkl", "py2.pkl"])
def test_truncated_files(tmp_path, kept, kind):
    path = tmp_path / f"model.{kind}"
    if kind == "npz":
        write_model(MODEL, path)
    else:
        write_pickle(smpl_dict(MODEL), path, 2, python2=kind.startswith("py2"))
    data = path.read_bytes()
    path.write_bytes(data[: kept if isinstance(kept, int) else int(kept * len(data))])
    error_of(path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["npz", "pkl 0", "pkl 2", "pkl 5"])
def test_flipped_bytes_give_a_model_or_one_clear_error(tmp_path, kind):
    path = tmp_path / "model"
    if kind == "npz":
        write_model(toy_model(), path)
    else:
        write_pickle(smpl_dict(toy_model()), path, int(kind[-1]))
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    rng = np.random.default_rng(0)
    messages = []
    for _ in range(300):
        damaged = whole.copy()
        damaged[rng.integers(len(whole), size=rng.integers(1, 4))] = rng.integers(256)
        path.write_bytes(damaged.tobytes())
        try:
            read_model(path)
        except ModelFileError as error:
            messages.append(str(error))
    assert len(messages) > 50
    assert not any("\n" in message for message in messages)


def test_a_zip_that_unpacks_to_gigabytes_is_refused_unopened(tmp_path):
    path = tmp_path / "model.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("v_template.npy", bytes(10))
    data = path.read_bytes()
    at = data.index(b"PK\x01\x02") + 24  # the unpacked size in the zip's directory
    path.write_bytes(data[:at] + (2**31 + 1).to_bytes(4, "little") + data[at + 4 :])
    assert "unpacks to over" in error_of(path)


def test_an_npy_header_that_claims_terabytes(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (2**40, 3)}
    )
    arrays = model_arrays(toy_model())
    np.savez(tmp_path / "model.npz", **{k: a for k, a in arrays.items() if k != "v_template"})
    with zipfile.ZipFile(tmp_path / "model.npz", "a") as archive:
        archive.writestr("v_template.npy", header.getvalue())
    error_of(tmp_path / "model.npz")


# --- what is written ------------------------------------------------------------------------------


def test_writing_keeps_everything_in_single_precision(tmp_path):
    model = replace(
        MODEL,
        uv=np.random.default_rng(0).uniform(size=(9, 2)),
        uv_faces=MODEL.faces % 9,
        part_labels=MODEL.faces[:, 0] % 24,
        provenance="a random body, with an é",
    )
    write_model(model, tmp_path / "model.npz")
    found = read_model(tmp_path / "model.npz")
    for field in fields(BodyModelData):
        expected = getattr(model, field.name)
        if isinstance(expected, np.ndarray) and expected.dtype == np.float64:
            expected = expected.astype(np.float32).astype(np.float64)
        np.testing.assert_equal(getattr(found, field.name), expected)


def test_the_npz_holds_smpls_keys_and_no_pickled_object(tmp_path):
    write_model(toy_model(), tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz", allow_pickle=False) as file:
        arrays = dict(file)
    smpls = {"v_template", "f", "weights", "shapedirs", "posedirs", "J_regressor", "kintree_table"}
    assert smpls <= set(arrays)
    assert all(array.dtype != object for array in arrays.values())
    assert arrays["posedirs"].dtype == np.float32
    assert arrays["kintree_table"].tolist() == [[-1, 0], [0, 1]]


def test_equal_models_give_equal_bytes(tmp_path, monkeypatch):
    first, second = tmp_path / "first.npz", tmp_path / "second.npz"
    write_model(MODEL, first)
    monkeypatch.setattr("time.time", lambda: 2e9)
    write_model(read_model(first), second)
    assert first.read_bytes() == second.read_bytes()


def test_a_model_that_could_not_be_read_is_not_written(tmp_path):
    broken = replace(toy_model(), lbs_weights=np.ones((2, 2)))
    with pytest.raises(ModelFileError, match="weights has a row"):
        write_model(broken, tmp_path / "model.npz")
    assert not list(tmp_path.iterdir())


def test_convert_model(tmp_path):
    source = write_pickle(smpl_dict(MODEL), tmp_path / "model.pkl", python2=True)
    convert_model(source, tmp_path / "model.npz")
    assert_same_body(read_model(tmp_path / "model.npz"), MODEL, tolerance=1e-6)
    convert_model(tmp_path / "model.npz", tmp_path / "model.npz")  # onto itself
    assert_same_body(read_model(tmp_path / "model.npz"), MODEL, tolerance=1e-6)


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("model.pkl", ModelFileError),
        ("model", ModelFileError),
        ("folder.npz", IsADirectoryError),
        ("missing/model.npz", FileNotFoundError),
    ],
)
def test_convert_model_refuses_bad_targets(tmp_path, target, error):
    source = write_pickle(smpl_dict(MODEL), tmp_path / "source.pkl")
    (tmp_path / "folder.npz").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error) as caught:
        convert_model(source, tmp_path / target)
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_failed_conversion_leaves_nothing_and_keeps_what_was_there(tmp_path):
    source = write_pickle(smpl_dict(MODEL), tmp_path / "source.pkl")
    source.write_bytes(source.read_bytes()[:-100])
    (tmp_path / "old.npz").write_bytes(b"precious")
    for target in ("new.npz", "old.npz"):
        with pytest.raises(ModelFileError):
            convert_model(source, tmp_path / target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old.npz", "source.pkl"]
    assert (tmp_path / "old.npz").read_bytes() == b"precious"


# --- where models are -----------------------------------------------------------------------------


def test_find_model_takes_paths(tmp_path):
    path = write_npz(tmp_path / "model.npz")
    assert find_model(path) == path
    assert find_model(str(path)) == path


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("neutral", "open_body_neutral.npz"),
        ("female", "open_body_female.npz"),
        ("male", "open_body_male.npz"),
        ("lesson", "lesson_body_neutral.npz"),
    ],
)
def test_find_model_knows_the_shipped_bodies(name, file):
    shipped = Path(vhlib.__file__).parent / "assets" / file
    if shipped.exists():
        assert find_model(name) == shipped
    else:
        with pytest.raises(FileNotFoundError, match="build-body"):
            find_model(name)


@pytest.mark.parametrize("name", ["neutrl", "folder/missing.pkl", ""])
def test_find_model_lists_what_it_takes(name):
    with pytest.raises(FileNotFoundError) as caught:
        find_model(name)
    message = str(caught.value)
    assert repr(name) in message
    assert "neutral, female, male, lesson" in message
    assert "path" in message


# --- the bodies that the tests use ----------------------------------------------------------------


def test_the_random_model_has_smpls_sizes_and_sparsity():
    model = random_model()
    assert (model.num_vertices, model.num_joints, model.num_shape_components) == (6890, 24, 10)
    assert len(model.faces) == 13776
    assert (model.lbs_weights > 0).sum(1).max() == 4
    assert (model.J_regressor > 0).sum(1).max() == 10
    names = list(SMPL_PARENTS)
    named = [names[parent] if parent >= 0 else None for parent in model.parents]
    assert named == list(SMPL_PARENTS.values())
    height = np.ptp(model.v_template[:, 1])
    assert 1.5 < height < 2.0


def test_smplx_reads_our_pickle_and_sees_the_same_body(tmp_path, capsys):
    import smplx

    model = random_model()
    path = write_pickle(smpl_dict(model), tmp_path / "SMPL_NEUTRAL.pkl")
    theirs = smplx.SMPL(str(path))(return_verts=True)
    ours = as_smplx(model)(return_verts=True)
    assert torch.equal(theirs.vertices, ours.vertices)
    assert torch.equal(theirs.joints, ours.joints)
    joints = ours.joints[0].detach().numpy()
    rest = read_model(path)
    np.testing.assert_allclose(joints[:24], rest.J_regressor @ rest.v_template, atol=1e-6)
    landmarks = [rest.landmarks[name] for name in SMPLX_45.names[len(SMPL_24) :]]
    np.testing.assert_allclose(joints[24:], rest.v_template[landmarks], atol=1e-6)
