"""kubectl, and the validators that need no cluster, in an environment beside the project's own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from charseq.errors import DataError
from deploy.support.processes import ROOT

CACHE = ROOT / "build" / "deploy"
KUBERNETES = "1.36"
_HERE = Path(__file__).parent
_REQUIREMENTS = _HERE / "requirements.txt"


def fetch_tools() -> Path:
    """Install requirements.txt, unless it was done before; the directory of the programs.

    Raises:
        DataError: pip fails.
    """
    folder = CACHE / "kubernetes"
    installed = folder / _REQUIREMENTS.name
    if installed.exists() and installed.read_bytes() == _REQUIREMENTS.read_bytes():
        return folder / "bin"
    run([sys.executable, "-m", "venv", "--clear", str(folder)])
    run(
        [
            str(folder / "bin" / "python"),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
            str(_REQUIREMENTS),
        ]
    )
    shutil.copy(_REQUIREMENTS, installed)
    return folder / "bin"


def build(tools: Path, folder: Path) -> str:
    """What kustomize makes of a directory, as YAML."""
    return run([str(tools / "kubectl"), "kustomize", str(folder)])


def check_schemas(tools: Path, text: str, own: Sequence[str] = ()) -> int:
    """Compare each document with the schema that Kubernetes publishes for its kind; their number.

    own: the kinds of documents that are not Kubernetes's.

    Raises:
        DataError: one does not fit, or its kind is not known.
    """
    file = CACHE / "documents.yaml"
    file.write_text(text)
    command = [str(tools / "kubernetes-validate"), "-k", KUBERNETES, "--strict", str(file)]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    lines = (outcome.stdout + outcome.stderr).splitlines()
    unfit = [line for line in lines if " passed for resource " not in line]
    told = [line for line in unfit if not any(f"schema for kind {kind} " in line for kind in own)]
    if outcome.returncode or told:
        raise DataError("\n".join(told))
    return len(lines) - len(unfit)


def check_custom_resource(tools: Path, definition: Path, text: str) -> None:
    """Compare a document with the schema in the CustomResourceDefinition of its kind.

    Raises:
        DataError: it does not fit.
    """
    file = CACHE / "resource.yaml"
    file.write_text(text)
    run([str(tools / "python"), str(_HERE / "custom_resource.py"), str(definition), str(file)])


def run(command: Sequence[str], seconds: float = 900) -> str:
    """What a command prints.

    Raises:
        DataError: it fails.
    """
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    if outcome.returncode:
        raise DataError(f"{' '.join(command)}: {outcome.stderr.strip() or outcome.stdout.strip()}")
    return outcome.stdout
