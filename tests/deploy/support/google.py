"""What deploy/ gives to Google: compared with published schemas, and sent by gcloud to nobody."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from charseq.errors import DataError
from tests.support.paths import ROOT

_HERE = Path(__file__).parent
_REQUIREMENTS = _HERE / "google.txt"
# What the commands of the READMEs are given, before anything else, to be set.
SETTINGS = {
    "PROJECT": "my-project",
    "REGION": "europe-west1",
    "REPOSITORY": "charseq",
    "BUCKET": "my-bucket",
    "IMAGE": "europe-west1-docker.pkg.dev/my-project/charseq/charseq-pipeline:1",
}


def validators() -> Path:
    """The Python that has google.txt, installed in the user's cache unless it is there.

    Raises:
        DataError: pip fails.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "charseq" / f"google-python{sys.version_info[0]}.{sys.version_info[1]}"
    python, installed = folder / "bin" / "python", folder / _REQUIREMENTS.name
    if not installed.exists() or installed.read_bytes() != _REQUIREMENTS.read_bytes():
        _run([sys.executable, "-m", "venv", "--clear", str(folder)])
        _run(
            [
                str(python),
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
    return python


def check_schema(python: Path, api: str, name: str, document: Any) -> None:
    """Compare a document with a schema of an API such as dataflow.v1b3.

    Raises:
        DataError: it does not fit; what does not, a line each.
    """
    _run([str(python), str(_HERE / "discovery.py"), api, name], json.dumps(document))
    print(f"{name} fits the schema of {api}")


def egrep_matches(python: Path, patterns: list[tuple[str, list[str]]]) -> list[list[bool]]:
    """Which values match each pattern, by RE2.

    Raises:
        DataError: a pattern is no POSIX egrep.
    """
    found = _run([str(python), str(_HERE / "posix_patterns.py")], json.dumps(patterns))
    return json.loads(found)  # type: ignore[no-any-return]


def commands(readme: Path, start: str) -> list[str]:
    """The commands of a README that begin so, each as one line for a shell."""
    blocks = re.findall(r"```console\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)
    lines = re.sub(r"\\\n\s*", "", "".join(blocks)).splitlines()
    return [line[2:] for line in lines if line.startswith(f"$ {start}")]


@contextmanager
def workplace() -> Iterator[Path]:
    """A directory to run the commands of a README in, which see deploy/ as in a checkout."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "deploy").symlink_to(ROOT / "deploy")
        yield Path(folder)


def shell(command: str, folder: Path, settings: dict[str, str] | None = None) -> str:
    """What a command of a README prints.

    Raises:
        DataError: it fails.
    """
    return _run(["bash", "-euc", command], folder=folder, settings={**SETTINGS, **(settings or {})})


@contextmanager
def recording_gcloud(folder: Path) -> Iterator[tuple[dict[str, str], list[tuple[str, Any]]]]:
    """Settings with which gcloud asks a server here that agrees to all; what it asked is kept.

    It has no account, and sees none of the user's.
    """
    requests: list[tuple[str, Any]] = []

    class Agree(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            requests.append((self.path.partition("?")[0], json.loads(body)))
            answer = json.dumps({"name": "a/b/c", "job": {"id": "1"}}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Agree) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        yield (
            {
                "CLOUDSDK_CONFIG": str(folder / "gcloud"),
                "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
                "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
                "CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM": address,
                "CLOUDSDK_API_ENDPOINT_OVERRIDES_DATAFLOW": address,
            },
            requests,
        )
        server.shutdown()


def has_gcloud() -> bool:
    """Whether gcloud is installed; what is not run without it is said."""
    found = shutil.which("gcloud") is not None
    if not found:
        print("gcloud is not installed: its commands were not run, the schemas only")
    return found


def require_equal(got: Any, expected: Any, what: str) -> None:
    """Raise a DataError if two things differ."""
    if got != expected:
        raise DataError(f"{what}: got {got}, expected {expected}")


def _run(
    command: list[str],
    text: str | None = None,
    folder: Path | None = None,
    settings: dict[str, str] | None = None,
) -> str:
    outcome = subprocess.run(
        command,
        input=text,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
        cwd=folder,
        env={**os.environ, **(settings or {})},
    )
    if outcome.returncode:
        said = outcome.stdout.strip() or outcome.stderr.strip()
        raise DataError(f"{' '.join(command)}: {said}")
    return outcome.stdout
