"""Files that appear whole or not at all, and npz files that were never to be trusted."""

from __future__ import annotations

import errno
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from vhlib.files import read_npz, write_atomically, write_folder_atomically


class Stop(Exception):
    """Something goes wrong in the midst of writing."""


def fail_after_writing(context, *names: str, error: type[BaseException] = Stop) -> None:
    """Write into the block's file or folder, then raise."""
    with context as target:
        if names:
            for name in names:
                (target / name).write_text("new")
        else:
            target.write(b"new")
        raise error


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


class TestOneFile:
    def test_appears_when_the_block_ends(self, tmp_path):
        path = tmp_path / "a.bin"
        with write_atomically(path) as file:
            file.write(b"half")
            file.flush()
            assert not path.exists()
            file.write(b" and half")
        assert path.read_bytes() == b"half and half"
        assert tree(tmp_path) == {"a.bin"}

    @pytest.mark.parametrize("before", [None, b"old"])
    def test_an_error_leaves_all_as_it_was(self, tmp_path, before):
        path = tmp_path / "a.bin"
        if before is not None:
            path.write_bytes(before)
        names = tree(tmp_path)
        with pytest.raises(Stop):
            fail_after_writing(write_atomically(path))
        assert tree(tmp_path) == names
        assert before is None or path.read_bytes() == before

    def test_an_interrupt_leaves_nothing_either(self, tmp_path):
        with pytest.raises(KeyboardInterrupt):
            fail_after_writing(write_atomically(tmp_path / "a.bin"), error=KeyboardInterrupt)
        assert not tree(tmp_path)

    def test_readers_of_the_old_file_keep_it(self, tmp_path):
        path = tmp_path / "a.bin"
        path.write_bytes(b"old")
        with path.open("rb") as reader:
            with write_atomically(path) as file:
                file.write(b"new")
            assert reader.read() == b"old"
        assert path.read_bytes() == b"new"

    def test_its_mode_is_that_of_any_new_file(self, tmp_path):
        (tmp_path / "plain").touch()
        with write_atomically(tmp_path / "a.bin"):
            pass
        assert (tmp_path / "a.bin").stat().st_mode == (tmp_path / "plain").stat().st_mode

    def test_what_blocks_it_is_named(self, tmp_path):
        with (
            pytest.raises(IsADirectoryError, match="is a directory, expected a file name"),
            write_atomically(tmp_path),
        ):
            pass
        with (
            pytest.raises(FileNotFoundError, match=r"the folder .*no doesn't exist"),
            write_atomically(tmp_path / "no" / "a.bin"),
        ):
            pass
        assert not tree(tmp_path)


class TestFolder:
    @pytest.mark.parametrize("depth", [".", "out", "deep/er/out"])
    def test_all_files_appear_together(self, tmp_path, depth):
        out = tmp_path / depth
        with write_folder_atomically(out) as folder:
            (folder / "a").write_text("1")
            (folder / "b").write_text("2")
            assert not (out / "a").exists()
        assert {path.name: path.read_text() for path in out.iterdir() if path.is_file()} == {
            "a": "1",
            "b": "2",
        }
        assert not [name for name in tree(tmp_path) if name.startswith(".")]

    @pytest.mark.parametrize("depth", [".", "out", "deep/er/out"])
    def test_an_error_leaves_no_file_and_no_folder(self, tmp_path, depth):
        with pytest.raises(Stop):
            fail_after_writing(write_folder_atomically(tmp_path / depth), "a")
        assert not tree(tmp_path)

    def test_old_files_are_replaced_and_others_stay(self, tmp_path):
        (tmp_path / "a").write_text("old")
        (tmp_path / "mine").write_text("mine")
        with write_folder_atomically(tmp_path) as folder:
            (folder / "a").write_text("new")
        assert (tmp_path / "a").read_text() == "new"
        assert (tmp_path / "mine").read_text() == "mine"
        assert tree(tmp_path) == {"a", "mine"}

    def test_one_blocked_file_stops_all(self, tmp_path):
        (tmp_path / "b").mkdir()
        (tmp_path / "a").write_text("old")
        context = write_folder_atomically(tmp_path)
        folder = context.__enter__()
        (folder / "a").write_text("new")
        (folder / "b").write_text("new")
        with pytest.raises(IsADirectoryError, match="b is a folder in the way"):
            context.__exit__(None, None, None)
        assert (tmp_path / "a").read_text() == "old"
        assert tree(tmp_path) == {"a", "b"}

    @pytest.mark.parametrize("below", ["", "out", "deep/out"])
    def test_a_file_in_the_way_of_the_folder(self, tmp_path, below):
        (tmp_path / "file").write_text("mine")
        with (
            pytest.raises(NotADirectoryError, match="file is a file, expected a folder"),
            write_folder_atomically(tmp_path / "file" / below),
        ):
            pass
        assert tree(tmp_path) == {"file"}

    def test_a_relative_path(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with write_folder_atomically("out") as folder:
            (folder / "a").write_text("1")
        assert tree(tmp_path) == {"out", "out/a"}

    def test_the_folder_is_named_when_it_is_not_writable(self, tmp_path, monkeypatch):
        def refuse(**_):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "a/temporary/name")

        monkeypatch.setattr("vhlib.files.tempfile.mkdtemp", refuse)
        with pytest.raises(PermissionError) as caught, write_folder_atomically(tmp_path / "out"):
            pass
        assert caught.value.filename == str(tmp_path)
        assert caught.value.strerror == "can't be written to: Permission denied"


class TestReadNpz:
    def test_gives_the_arrays_that_are_there_and_asked_for(self, tmp_path):
        np.savez(tmp_path / "a.npz", x=np.arange(3), y=np.ones((2, 2)))
        found = read_npz(tmp_path / "a.npz", ("x", "z"))
        assert set(found) == {"x"}
        assert found["x"].tolist() == [0, 1, 2]

    def test_pickled_members_hurt_only_who_asks_for_them(self, tmp_path):
        np.savez(tmp_path / "a.npz", x=np.arange(3), name=np.array("ada", dtype=object))
        assert read_npz(tmp_path / "a.npz", ["x"])["x"].shape == (3,)
        with pytest.raises(ValueError, match=r"a\.npz: not a readable npz \(Object arrays"):
            read_npz(tmp_path / "a.npz", ["name"])

    def test_other_files_are_refused(self, tmp_path):
        np.save(tmp_path / "single.npy", np.arange(3))
        (tmp_path / "notes.npz").write_text("no arrays")
        for name in ("single.npy", "notes.npz"):
            with pytest.raises(ValueError, match=rf"{name}: not an npz"):
                read_npz(tmp_path / name, ["x"])
        with pytest.raises(FileNotFoundError):
            read_npz(tmp_path / "none.npz", ["x"])

    @pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    def test_damaged_members_are_refused(self, tmp_path, compression):
        path = tmp_path / "a.npz"
        with zipfile.ZipFile(path, "w", compression) as archive, archive.open("x.npy", "w") as file:
            np.save(file, np.random.default_rng(0).normal(size=1000))
        content = bytearray(path.read_bytes())
        content[200:260] = bytes(60)
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.npz: not a readable npz"):
            read_npz(path, ["x"])
