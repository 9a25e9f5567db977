"""deploy/vertex: both jobs by Vertex's schema and gcloud, and their commands on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from charseq.cli import exit_status
from charseq.errors import DataError
from deploy.support.processes import LOOPBACK, free_ports
from tests.deploy.support.google import (
    check_schema,
    commands,
    has_gcloud,
    recording_gcloud,
    require_equal,
    shell,
    validators,
    workplace,
)
from tests.support.paths import ROOT

_DIRECTORY = ROOT / "deploy" / "vertex"
_README = _DIRECTORY / "README.md"
_API = "aiplatform.v1"
_SCHEMA = "GoogleCloudAiplatformV1CustomJob"
# A small model and little of it, for a machine without GPUs; the rest is as in the files.
_SMALL = (
    "--representation=embedding",
    "--units=4,3",
    "--epochs=2",
    "--batch-size=8",
    "--jit-compile=off",
)
_SECONDS = 300


def main() -> int:
    """Check and run all; 1 if something is not as Vertex, gcloud or the trainer wants it."""
    return exit_status(_check)


def _check() -> None:
    python = validators()
    jobs = {
        name: yaml.safe_load((_DIRECTORY / f"{name}.yaml").read_text(encoding="utf-8"))
        for name in ("mirrored", "multi_worker")
    }
    for job in jobs.values():
        check_schema(python, _API, f"{_SCHEMA}Spec", job)
    if has_gcloud():
        for name in jobs:
            _create(python, name)
    with TemporaryDirectory() as bucket:
        _write_data(Path(bucket))
        _train(Path(bucket), jobs["mirrored"], ["chief"], "--devices=CPU:0,CPU:1")
        _train(Path(bucket), jobs["multi_worker"], ["chief", "worker"])


def _create(python: Path, name: str) -> None:
    """Do what the README says, with one of the files; look what gcloud asks Vertex for."""
    with workplace() as folder, recording_gcloud(folder) as (settings, requests):
        (fill_in,) = commands(_README, "sed")
        (create,) = commands(_README, "gcloud ai custom-jobs create")
        shell(fill_in.replace("mirrored.yaml", f"{name}.yaml"), folder)
        shell(create, folder, settings)
        job = yaml.safe_load((folder / "job.yaml").read_text(encoding="utf-8"))
    ((path, request),) = requests
    place = "projects/my-project/locations/europe-west1"
    require_equal(path, f"/v1/{place}/customJobs", "address")
    require_equal(request, {"displayName": "charseq", "jobSpec": job}, "job that gcloud creates")
    for word in ("PROJECT", "REGION", "REPOSITORY", "BUCKET"):
        require_equal(word in json.dumps(job), False, f"{word} left in the job")
    check_schema(python, _API, _SCHEMA, request)
    print(f"gcloud ai custom-jobs create asks for the job of {name}.yaml")


def _write_data(bucket: Path) -> None:
    """A small dataset where the jobs look for one."""
    rows = bucket / "rows.csv"
    for module, *flags in (
        ("pipeline.sample", "--rows=300", f"--output={rows}"),
        ("pipeline", f"--input={rows}", f"--output={bucket / 'prepared'}"),
    ):
        outcome = subprocess.run(
            [sys.executable, "-m", module, *flags],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if outcome.returncode:
            raise DataError(f"{module}: {outcome.stderr}")


def _train(bucket: Path, job: dict[str, Any], machines: list[str], *flags: str) -> None:
    """Run the command of a job as these machines, each with the TF_CONFIG that Vertex gives it."""
    cluster = _cluster(machines)
    processes = []
    for machine in machines:
        pool = job["workerPoolSpecs"][("chief", "worker").index(machine)]
        container = pool["containerSpec"]
        python, *command = container["command"]
        require_equal(python, "python", "program")
        arguments = [text.replace("/gcs/BUCKET", str(bucket)) for text in container["args"]]
        task = {"type": machine, "index": 0}
        config = {"cluster": cluster, "environment": "cloud", "task": task, "job": json.dumps(job)}
        process = subprocess.Popen(
            [sys.executable, *command, *arguments, *_SMALL, *flags],
            cwd=ROOT,
            env={**os.environ, "TF_CONFIG": json.dumps(config)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
    _require_run(bucket, job, processes)


def _cluster(machines: list[str]) -> dict[str, list[str]]:
    """An address on this machine for each; they are of different kinds."""
    ports = free_ports(len(machines))
    return {machine: [f"{LOOPBACK}:{port}"] for machine, port in zip(machines, ports, strict=True)}


def _require_run(bucket: Path, job: dict[str, Any], processes: list[subprocess.Popen[str]]) -> None:
    try:
        told = [process.communicate(timeout=_SECONDS) for process in processes]
    finally:
        for process in processes:
            process.kill()
    require_equal([process.returncode for process in processes], [0] * len(processes), str(told))
    require_equal([bool(out) for out, _ in told], [True, False][: len(told)], "who speaks")
    output = job["baseOutputDirectory"]["outputUriPrefix"].removeprefix("gs://BUCKET/")
    run = json.loads((bucket / output / "run.json").read_text(encoding="utf-8"))
    found = (run["options"]["strategy"], run["options"]["replicas"])
    expected = ("multi_worker" if len(told) > 1 else "mirrored", 2)
    require_equal(found, expected, "strategy and replicas")
    print(f"{output}: trained by {expected[0]}, {expected[1]} replicas")


if __name__ == "__main__":
    sys.exit(main())
