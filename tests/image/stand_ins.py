"""What the Dockerfile is built from, made here: no registry of images is asked.

The base is Debian's Python instead of Docker's, and Beam's `boot` is compiled from Beam's own
module instead of copied from Beam's image. Of Dataflow's launcher there is no source: its stand-in
is a file that does nothing.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from charseq.errors import DataError
from deploy.support.processes import ROOT
from tests.image.storage import Storage

ARGUMENTS = {
    "BASE": "localhost/base",
    "BEAM_SDK": "localhost/beam-sdk",
    "FLEX_LAUNCHER": "localhost/flex-launcher",
}
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "proxy", "cert", "default-timeout")
_DEBIAN_PACKAGES = ("ca-certificates", "python3.11-venv", "python3-distutils")
_TOOLS = {
    "buildah": "apt-get install buildah",
    "debootstrap": "apt-get install debootstrap",
    "go": "1.21 or newer, from go.dev",
}


def require_tools() -> None:
    """Look for what builds and runs the images.

    Raises:
        DataError: a program is missing, or this is not root.
    """
    for tool, source in _TOOLS.items():
        if shutil.which(tool) is None:
            raise DataError(f"{tool} is needed ({source})")
    if os.geteuid() != 0:
        raise DataError("root is needed: debootstrap and containers without a daemon ask for it")


def beam_version() -> str:
    """The Beam whose image the Dockerfile names."""
    (version,) = re.findall(r"^ARG BEAM_SDK=.+:(.+)$", (ROOT / "Dockerfile").read_text(), re.M)
    return str(version)


def fetch_base(cache: Path, log: Path) -> Path:
    """Debian with Python in a directory, unless it is there from before."""
    base, made = cache / "base", cache / "base.new"
    if not base.exists():
        shutil.rmtree(made, ignore_errors=True)
        packages = ",".join(_DEBIAN_PACKAGES)
        flags = ["--variant=minbase", f"--include={packages}"]
        _run(["debootstrap", *flags, "bookworm", str(made)], log, {})
        (made / "usr/bin/python").symlink_to("python3")
        made.rename(base)
    return base


def build_boot(cache: Path, log: Path) -> Path:
    """Beam's `boot` for Python, unless it is there from before."""
    boot = cache / f"boot-{beam_version()}"
    if not boot.exists():
        package = "github.com/apache/beam/sdks/v2/python/container"
        settings = {"GOBIN": str(cache), "CGO_ENABLED": "0"}
        _run(["go", "install", f"{package}@v{beam_version()}"], log, settings)
        (cache / "container").rename(boot)
    return boot


def commit_stand_ins(storage: Storage, base: Path, boot: Path, folder: Path) -> None:
    """Make the three images that ARGUMENTS names, with files put together in `folder`."""
    beam, flex = folder / "beam-sdk", folder / "flex-launcher"
    opt = beam / "opt/apache/beam"
    opt.mkdir(parents=True)
    shutil.copy(boot, opt / "boot")
    for name in ("LICENSE", "NOTICE"):
        (opt / name).write_text(f"In the place of the {name} of Beam's image.\n")
    launcher = flex / "opt/google/dataflow/python_template_launcher"
    launcher.parent.mkdir(parents=True)
    launcher.write_text("#!/bin/sh\necho in the place of Dataflow\\'s launcher\n")
    launcher.chmod(0o755)
    for image, root in (("base", base), ("beam-sdk", beam), ("flex-launcher", flex)):
        storage.commit(image, root)


def network_flags(folder: Path) -> list[str]:
    """How pip reaches its index here: a secret of the build, and certificates to mount."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    settings = {}
    # A setting of the environment comes first in the list, and counts.
    for line in reversed(listed.splitlines()):
        name, _, value = line.partition("=")
        settings[name.split(".")[-1]] = ast.literal_eval(value)
    found = {name: settings[name] for name in _PIP_SETTINGS if name in settings}
    flags = []
    if certificates := found.get("cert"):
        flags.append(f"--volume={certificates}:{_CERTIFICATES}:ro")
        found["cert"] = _CERTIFICATES
    configuration = folder / "pip.conf"
    lines = (f"{name} = {' '.join(value.split())}\n" for name, value in found.items())
    configuration.write_text("[global]\n" + "".join(lines))
    return [*flags, f"--secret=id=pip.conf,src={configuration}"]


def _run(command: list[str], log: Path, settings: dict[str, str]) -> None:
    with log.open("ab") as output:
        status = subprocess.run(
            command, env={**os.environ, **settings}, stdout=output, stderr=output, timeout=1800
        ).returncode
    if status:
        raise DataError(f"{command[0]} ended with status {status}: see {log}")
