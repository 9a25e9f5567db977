"""The manifests of deploy/kubernetes: judged by Kubernetes, and their scheduled run run.

The containers of the scheduled run are started here one after another, as Kubernetes would, then
the server of what it promoted, and the workers of the indexed Job all at once.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from charseq.cli import exit_status
from charseq.errors import DataError
from charseq.process.processes import descendants
from deploy.support.processes import LOOPBACK, free_ports, wait_until
from pipeline.sample import main as write_sample
from tests.deploy.support.api_server import ApiServer, api_server
from tests.deploy.support.pods import (
    Manifest,
    command,
    containers,
    environment,
    on_volume,
    pod_spec,
    read,
)
from tests.deploy.support.tools import build, check_schemas, fetch_tools
from tests.support.paths import ROOT

HERE = ROOT / "deploy" / "kubernetes"
OVERLAYS = (
    *("one-node", "several-nodes", "train-one-node", "train-several-nodes"),
    *("serve-one-node", "serve-several-nodes", "serve-bucket"),
)
CONTAINER = ROOT / "tests" / "deploy" / "support" / "container.sh"
USER = 10001
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
STEPS = ("prepare", "train", "evaluate", "promote")
WRITTEN = ("dataset.json", "run.json", "evaluation-test.json", "registry")
NAME = "scheduled-run-29400660"
INDEX = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
JOB = "metadata.labels['batch.kubernetes.io/job-name']"


def main() -> int:
    """Check the manifests; 1 if one is refused, or a step of the scheduled run fails."""
    return exit_status(_check)


def _check() -> None:
    tools = fetch_tools()
    built = {name: build(tools, HERE / "overlays" / name) for name in OVERLAYS}
    for name, text in {**built, "shell": (HERE / "shell.yaml").read_text()}.items():
        print(f"{name}: {check_schemas(tools, text)} documents fit Kubernetes' schemas")
    with api_server(tools) as server:
        if server:
            apply_all(server)
    names = ("one-node", "serve-one-node", "train-several-nodes")
    one_node, serving, training = (read(built[name]) for name in names)
    with tempfile.TemporaryDirectory() as temporary:
        run_as_scheduled(of(one_node, "CronJob"), settings_of(one_node), Path(temporary))
        run_server(of(serving, "Deployment"), settings_of(serving), Path(temporary))
        run_workers(of(training, "Job"), settings_of(training), Path(temporary))


def of(manifests: Sequence[Manifest], kind: str) -> Manifest:
    """The one manifest of a kind."""
    (found,) = (manifest for manifest in manifests if manifest["kind"] == kind)
    return found


def settings_of(manifests: Sequence[Manifest]) -> dict[str, str]:
    """What the overlay's ConfigMap holds."""
    return dict(of(manifests, "ConfigMap")["data"])


def apply_all(server: ApiServer) -> None:
    """Let the server judge all, in the namespace with its restrictions."""
    make_namespace(server)
    for name in OVERLAYS:
        count = server.dry_run("--kustomize", str(HERE / "overlays" / name))
        print(f"{name}: the API server takes all {count}, without a warning")
    server.dry_run("--filename", str(HERE / "shell.yaml"))
    print("shell: the API server takes it")


def make_namespace(server: ApiServer) -> None:
    """What must be there before anything in it can be judged."""
    for name in ("namespace.yaml", "service-account.yaml"):
        server.apply("--namespace=charseq", "--filename", str(HERE / "base" / name))


def run_as_scheduled(cron_job: Manifest, settings: dict[str, str], data: Path) -> None:
    """The whole run; a run that is interrupted; and one that finds everything done."""
    data.chmod(0o755)
    (data / "input").mkdir()
    with redirect_stdout(None):
        write_sample(["--rows", "3000", "--output", str(data / "input" / "rows.csv")])
    for path in (data, data / "input", data / "input" / "rows.csv"):
        if os.geteuid() == 0:
            shutil.chown(path, USER, USER)
    with_epochs = {**settings, "EPOCHS": "12"}
    steps = {step["name"]: step for step in containers(pod_spec(cron_job))}
    expect("the steps", tuple(steps), STEPS)
    interrupt(steps["prepare"], with_epochs, data, "datasets/*/.staging")
    run_step(steps["prepare"], with_epochs, data)
    interrupt(steps["train"], with_epochs, data, "runs/*/checkpoints/*")
    for name in STEPS[1:]:
        run_step(steps[name], with_epochs, data)
    expect("complete", [name for name in WRITTEN if any(data.rglob(name))], list(WRITTEN))
    before = modified(data, "dataset.json", "run.json")
    for name in ("prepare", "train"):
        run_step(steps[name], with_epochs, data)
    expect("what a second pod did anew", modified(data, "dataset.json", "run.json"), before)


def run_step(step: Manifest, settings: dict[str, str], data: Path) -> None:
    """Run a container to its end.

    Raises:
        DataError: it fails.
    """
    started = time.monotonic()
    with started_container(step, environment(step, settings, {JOB: NAME}), data) as process:
        output, _ = process.communicate(timeout=600)
    if process.returncode:
        raise DataError(f"{step['name']} ended with {process.returncode}: {output}")
    print(f"{step['name']}: {time.monotonic() - started:.1f} s")


def interrupt(step: Manifest, settings: dict[str, str], data: Path, begun: str) -> None:
    """SIGTERM to process 1 of the container once `begun` is there: it ends with 143, in time."""
    name = step["name"]
    with started_container(step, environment(step, settings, {JOB: NAME}), data) as process:
        wait_until(lambda: any(data.glob(begun)) or process.poll() is not None, 300, begun)
        if process.poll() is not None:
            raise DataError(f"{name} ended before {begun}: {process.communicate()[0]}")
        os.kill(process_1(process.pid), signal.SIGTERM)
        started = time.monotonic()
        output, _ = process.communicate(timeout=120)
    expect(f"{name}'s status after SIGTERM ({output})", process.returncode, 143)
    finished = [each for each in ("dataset.json", "run.json") if any(data.rglob(each))]
    expect("finished", finished, [] if name == "prepare" else ["dataset.json"])
    print(f"{name}: SIGTERM, and status 143 after {time.monotonic() - started:.1f} s")


def run_server(deployment: Manifest, settings: dict[str, str], data: Path) -> None:
    """A container of the server, on what was promoted: probes, questions, SIGTERM."""
    (step,) = containers(pod_spec(deployment))
    (port,) = free_ports(1)
    here = {**step, "command": [*step["command"], f"--port={port}"]}
    variables = {**environment(step, settings, {}), "CHARSEQ_TOKEN": "0123456789abcdef"}
    started = time.monotonic()
    with started_container(here, variables, data) as process:

        def ask(path: str, *names: str, body: bytes | None = None) -> int:
            headers = dict(zip(("Host", "Authorization"), names, strict=False))
            address = f"http://{LOOPBACK}:{port}{path}"
            try:
                with urlopen(Request(address, body, headers), timeout=30) as response:
                    return int(response.status)
            except HTTPError as error:
                return error.code
            except URLError:
                return 0

        probes = {name: step[name]["httpGet"]["path"] for name in PROBES}
        # Kubelet names the address of the pod.
        ready = probes["readinessProbe"]
        wait_until(
            lambda: process.poll() is not None or ask(ready, "10.0.0.9:8501") == 200, 300, ""
        )
        if process.poll() is not None:
            raise DataError(f"the server ended: {process.communicate()[0]}")
        print(f"server: ready after {time.monotonic() - started:.1f} s")
        found = {name: ask(path, "10.0.0.9:8501") for name, path in probes.items()}
        expect("probes", found, dict.fromkeys(PROBES, 200))
        body = json.dumps({"instances": ["ACDEFGHIKL"]}).encode()
        predict, token = "/v1/models/charseq:predict", "Bearer 0123456789abcdef"
        for name in ("model", "model.charseq", "model.charseq.svc:80", f"localhost:{port}"):
            expect(f"status of {name}", ask(predict, name, token, body=body), 200)
        expect("status without a token", ask(predict, "model", body=body), 401)
        expect("status of another host", ask(predict, "example.org", token, body=body), 403)
        os.kill(process_1(process.pid), signal.SIGTERM)
        started = time.monotonic()
        output, _ = process.communicate(timeout=60)
    expect(f"the server's status after SIGTERM ({output})", process.returncode, 143)
    print(f"server: SIGTERM, and status 143 after {time.monotonic() - started:.1f} s")


def process_1(pid: int) -> int:
    """Return the process that all others below process `pid` descend from, or `pid` itself."""
    return max(descendants(pid), key=lambda each: len(list(descendants(each))), default=pid)


def run_workers(job: Manifest, settings: dict[str, str], data: Path) -> None:
    """All pods of the indexed Job at once, on this machine's CPU, until they are done.

    Here they have one address and several ports; there, several names and one port.
    """
    (step,) = containers(pod_spec(job))
    count = job["spec"]["completions"]
    found = {
        **settings,
        "DATASET": f"/data/datasets/{NAME}",
        "RUN": "/data/runs/workers",
        "EPOCHS": "1",
        "BATCH_SIZE": "256",
    }
    ports = iter(free_ports(count))
    name = job["metadata"]["name"]
    addresses = {
        f"{name}-{index}.train:2222": f"{LOOPBACK}:{next(ports)}" for index in range(count)
    }
    started = time.monotonic()
    with ExitStack() as running:
        processes = []
        for index in range(count):
            variables = environment(step, found, {INDEX: str(index), JOB: name})
            for address, here in addresses.items():
                variables["TF_CONFIG"] = variables["TF_CONFIG"].replace(address, here)
            container = started_container(step, variables, data)
            processes.append(running.enter_context(container))
        outputs = [process.communicate(timeout=600)[0] for process in processes]
    statuses = [process.returncode for process in processes]
    expect(f"the workers' statuses ({outputs})", statuses, [0] * count)
    made = json.loads((data / "runs" / "workers" / "run.json").read_text())
    expect("the strategy", made["options"]["strategy"], "multi_worker")
    print(f"{count} workers of the indexed Job: {time.monotonic() - started:.1f} s")


@contextmanager
def started_container(
    step: Manifest, variables: dict[str, str], data: Path
) -> Iterator[subprocess.Popen[str]]:
    """A container with its variables and the volume in `data`: as root, in its own namespaces."""
    root = os.geteuid() == 0
    place, checkout = (Path("/mnt"), Path("/opt")) if root else (data, ROOT)
    words = [on_volume(word, place) for word in command(step, variables)]
    variables = {name: on_volume(value, place) for name, value in variables.items()}
    variables["PATH"] = f"{checkout}/.venv/bin:{os.environ['PATH']}"
    if root:
        words = [
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "sh",
            str(CONTAINER),
            str(data),
            "ro" if is_read_only(step) else "rw",
            str(ROOT),
            *words,
        ]
    else:
        print("(not root: as this user, and with a root file system that can be written to)")
    process = subprocess.Popen(
        words, env=variables, text=True, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def is_read_only(step: Manifest) -> bool:
    """Whether a container may only read the volume."""
    return any(mount.get("readOnly") for mount in step["volumeMounts"])


def modified(data: Path, *names: str) -> list[int]:
    """When files of these names were written."""
    return [path.stat().st_mtime_ns for name in names for path in sorted(data.rglob(name))]


def expect(what: str, found: object, expected: object) -> None:
    """Raise a DataError where something is not as expected."""
    if found != expected:
        raise DataError(f"{what}: got {found}, expected {expected}")


if __name__ == "__main__":
    sys.exit(main())
