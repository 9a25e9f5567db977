"""Compare `charseq serve` with a plain handler that calls the SavedModel's signature.

Each server runs alone, with the clients on the same machine. Prints Markdown. Usage:
`python -m benchmarks.serve --model RUN/saved_model`.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.figures import describe_machine, show_command
from benchmarks.http_load import Load, make_bodies, run_load
from charseq.cli import exit_status
from charseq.errors import DataError, UsageError

_PACKAGES = ("tensorflow", "starlette", "uvicorn", "httptools", "uvloop")
_PATH = "/v1/models/charseq:predict"
# Clients, and the sequences of each of their requests.
CASES = ((1, 1), (16, 1), (64, 1), (16, 100))
_SECONDS_TO_START = 120
_POINTER = """\
# newest: 1
model_config_list {
  config {
    name: "charseq"
    model_version_policy { specific { versions: 1 } }
  }
}
"""


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def make_registry(directory: Path, model: str) -> Path:
    """Write a registry whose only version is a SavedModel."""
    directory.mkdir()
    shutil.copytree(model, directory / "1")
    (directory / "models.config").write_text(_POINTER)
    return directory


def server_commands(model: str, registry: Path, waits: Sequence[float]) -> dict[str, list[str]]:
    """Return the command of each server, without its port, by name."""
    ours = ["charseq.server", "--registry", str(registry)]
    commands = {f"charseq_wait_{wait:g}": [*ours, f"--batch-wait-ms={wait}"] for wait in waits}
    return {**commands, "plain": ["benchmarks.peers.serve_plain", model]}


@contextlib.contextmanager
def running(command: Sequence[str], name: str) -> Iterator[int]:
    """Yield the port of a server that is ready."""
    port = _free_port()
    arguments = [str(port)] if name == "plain" else [f"--port={port}"]
    process = subprocess.Popen(
        [sys.executable, "-m", *command, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    try:
        _wait_until_ready(port, process)
        yield port
    finally:
        process.terminate()
        process.wait()


def _wait_until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.1)
    raise DataError(f"the server was not ready in {_SECONDS_TO_START} s: {process.poll()}")


def compare(commands: dict[str, list[str]], seconds: float) -> dict[str, list[Load]]:
    """Return what each server did in each case."""
    loads: dict[str, list[Load]] = {}
    for name, command in commands.items():
        with running(command, name) as port:
            loads[name] = [
                run_load(port, _PATH, make_bodies(rows), clients, seconds)
                for clients, rows in CASES
            ]
        print(name, loads[name], file=sys.stderr)
    return loads


def _table(loads: dict[str, list[Load]]) -> str:
    lines = [
        "| clients | sequences a request | server | requests/s | p50, ms | p99, ms |",
        "|---:|---:|---|---:|---:|---:|",
    ]
    lines += [
        f"| {clients} | {rows} | `{name}` | {of_server[case].rate:,.0f} | "
        f"{of_server[case].p50:.1f} | {of_server[case].p99:.1f} |"
        for case, (clients, rows) in enumerate(CASES)
        for name, of_server in loads.items()
    ]
    return "\n".join(lines)


def _compare(argv: Sequence[str] | None) -> None:
    arguments = _parser().parse_args(argv)
    if not 0 < arguments.seconds <= 60:
        raise UsageError("--seconds takes a number above 0, at most 60")
    machine = describe_machine(_PACKAGES)
    with tempfile.TemporaryDirectory(prefix="charseq-benchmark-") as directory:
        registry = make_registry(Path(directory, "registry"), arguments.model)
        commands = server_commands(arguments.model, registry, arguments.batch_wait_ms)
        loads = compare(commands, arguments.seconds)
    print(f"`{show_command('benchmarks.serve', argv)}`\n{machine}\n\n{_table(loads)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serve",
        description="Time a server and a plain handler under the same load; print Markdown.",
    )
    parser.add_argument("--model", required=True, metavar="DIR", help="a SavedModel")
    parser.add_argument("--seconds", type=float, default=20, metavar="S", help="of each case")
    parser.add_argument(
        "--batch-wait-ms", type=float, nargs="+", default=[1.0], metavar="MS", help="to compare"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Compare as the command line says; return the exit status."""
    return exit_status(lambda: _compare(argv))


if __name__ == "__main__":
    sys.exit(main())
