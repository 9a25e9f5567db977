"""Run the project's own command as a user does, and compare what it wrote."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from charseq.cli import heavy_imports
from charseq.errors import DataError
from deploy.support.processes import Service

RUN_SECONDS = 900
SAME = ("fingerprint", "shards", "counts", "label_counts", "length_histogram")


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is done, and how long it took."""
    started = time.monotonic()
    print(f"{what} … ", end="", flush=True)
    try:
        yield
    except BaseException:
        print("failed")
        raise
    print(f"{time.monotonic() - started:.1f} s")


def check(what: str, found: object, expected: object) -> None:
    """Raise a DataError where something is not as expected."""
    if found != expected:
        raise DataError(f"{what} is {found}, expected {expected}")


def start_pipeline(source: str, output: Path, logs: Path, *flags: str) -> Service:
    """The project's own command, as a user gives it."""
    own = ["--input", source, "--output", str(output)]
    command = [sys.executable, "-m", "pipeline", *own, *flags]
    return Service(command, logs / f"pipeline-{output.name}.log")


def prepare(source: str, output: Path, logs: Path, *flags: str) -> dict[str, Any]:
    """Run the pipeline to its end; the manifest of a dataset that was read again."""
    service = start_pipeline(source, output, logs, *flags)
    try:
        if status := service.wait(RUN_SECONDS):
            raise DataError(f"the pipeline ended with status {status}: see {service.log}")
    finally:
        service.end()
    return read_checked(output)


def read_checked(output: Path) -> dict[str, Any]:
    """The manifest, after every file and record was checked against it."""
    with heavy_imports():
        from pipeline.verification.verify import verify
    verify(str(output))
    return json.loads((output / "dataset.json").read_text())  # type: ignore[no-any-return]


def check_the_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Compare the shards' SHA-256, the counts, and the files beside the shards.

    The graph and the report are left out: they name when and where they were made.
    """
    for name in SAME:
        check(name, found[name], expected[name])
    for manifest in (found, expected):
        manifest["files"] = [
            file
            for file in manifest["files"]
            if file["path"].startswith("rejected/") or file["path"] == "parity.jsonl"
        ]
    check("files", found["files"], expected["files"])
