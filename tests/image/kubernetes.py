"""kubectl and a cluster, as far as deploy/README.md needs them: its pods are run here."""

from __future__ import annotations

import io
import os
import posixpath
import shlex
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from charseq.errors import DataError
from deploy.support.processes import ROOT, wait_until
from tests.deploy.support.pods import Manifest, command, containers, environment, pod_spec, read
from tests.deploy.support.tools import build
from tests.image.storage import Container
from tests.support.serving import Client

_JOB = "metadata.labels['batch.kubernetes.io/job-name']"
_COMMAND_SECONDS = 1800


class Pod(NamedTuple):
    """A pod of a manifest; volumes: where each of them is on this machine."""

    name: str
    spec: Manifest
    volumes: Mapping[str, Path]


class Kubernetes:
    """Runs the containers of manifests with their user, volumes and read-only file system.

    images: the containers of the images, by image. tools: see `fetch_tools`. folder: an empty one;
    the pods end with the block. settings: in the place of those of the ConfigMaps.
    """

    def __init__(
        self,
        images: Mapping[str, Container],
        tools: Path,
        folder: Path,
        settings: Mapping[str, str],
    ) -> None:
        self._images, self._tools, self._folder, self._settings = images, tools, folder, settings
        self.home = folder / "home"  # where kubectl is called
        self.home.mkdir()
        self._applied: dict[tuple[str, str], Manifest] = {}
        self._pods: dict[str, Pod] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._logs: dict[str, dict[str, str]] = {}

    def __enter__(self) -> Kubernetes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        for name in list(self._running):
            self._delete(name)

    def is_running(self, pod: str) -> bool:
        """Whether the pod has started and not ended."""
        return pod in self._running and self._running[pod].poll() is None

    def kubectl(self, words: Sequence[str]) -> None:
        """Do what kubectl does for these words.

        Raises:
            DataError: it fails, or there is nothing in its place here.
        """
        match [word for word in words if word not in ("--namespace", "charseq", "--server-side")]:
            case ["get" | "patch", *_] | ["create", "secret", *_]:
                pass  # An API server is asked in tests/deploy/readme.py.
            case ["apply", "-f", path]:
                self._apply((ROOT / path).read_text())
            case ["apply", "-k", path]:
                self._apply(build(self._tools, ROOT / path))
            case ["create", "job", name, source]:
                self._run_job(name, self._applied["CronJob", source.partition("/")[2]])
            case ["rollout", "status", _, deployment]:
                self._wait_until_probed(deployment.removeprefix("deployment/"))
            case ["port-forward", service, ports]:
                self._ask_service(service.removeprefix("service/"), int(ports.partition(":")[2]))
            case other:
                self._ask_pod(other)

    def _ask_pod(self, words: Sequence[str]) -> None:
        match words:
            case ["wait", "--for=condition=Ready", _, pod]:
                self._wait_until_ready(pod.removeprefix("pod/"))
            case ["wait", "--for=condition=Complete", _, job]:
                self._log(job)  # It has run to its end.
            case ["logs", "--follow", job]:
                self._log(job)
            case ["logs", "--follow", job, "--container", container]:
                self._log(job, container)
            case ["exec", pod, "--", *command]:
                self._execute(pod, command)
            case ["cp", source, target] if ":" in target:
                self._copy_to_pod(self.home / source, target)
            case ["cp", source, target]:
                self._copy_from_pod(source, self.home / target)
            case ["delete", "pod", pod]:
                self._delete(pod)
            case _:
                raise DataError(f"nothing is in the place of kubectl {shlex.join(words)}")

    def _apply(self, text: str) -> None:
        for manifest in read(text):
            kind, name = manifest["kind"], manifest["metadata"]["name"]
            self._applied[kind, name] = manifest
            if kind in ("Pod", "Deployment"):
                self._start(name, manifest)
            elif kind == "Job":
                self._run_job(name, manifest)

    def _make_pod(self, name: str, manifest: Manifest) -> Pod:
        """Make the volumes of a pod as a node does: of root, and of the group `fsGroup`."""
        spec = pod_spec(manifest)
        volumes = {
            volume["name"]: self._folder / _directory(name, volume) for volume in spec["volumes"]
        }
        for path in volumes.values():
            path.mkdir(exist_ok=True)
            os.chown(path, 0, spec["securityContext"]["fsGroup"])
            path.chmod(0o2775)
        return Pod(name, spec, volumes)

    def _start(self, name: str, manifest: Manifest) -> None:
        pod = self._make_pod(name, manifest)
        (container,) = containers(pod.spec)
        self._pods[name] = pod
        # A server writes a line for each request.
        self._running[name] = subprocess.Popen(
            self._command_line(pod, container), stdout=subprocess.DEVNULL
        )

    def _run_job(self, name: str, manifest: Manifest) -> None:
        """Run the containers of a Job one after another, each to its end."""
        pod = self._make_pod(name, manifest)
        self._logs[name] = {
            container["name"]: self._run(pod, container).decode()
            for container in containers(pod.spec)
        }

    def _run(
        self,
        pod: Pod,
        container: Manifest,
        words: Sequence[str] | None = None,
        given: bytes = b"",
    ) -> bytes:
        """Run the command of a container, or `words` in it; return what it prints.

        Raises:
            DataError: it fails.
        """
        ended = subprocess.run(
            self._command_line(pod, container, words),
            input=given,
            capture_output=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        if ended.returncode:
            raise DataError(
                f"container {container['name']} of {pod.name} ended with status "
                f"{ended.returncode}:\n{ended.stderr.decode()}"
            )
        return ended.stdout

    def _command_line(
        self, pod: Pod, container: Manifest, words: Sequence[str] | None = None
    ) -> list[str]:
        """Return what runs the command of a container, or `words` in it."""
        variables = environment(container, self._settings_of(container), {_JOB: pod.name})
        context = pod.spec["securityContext"]
        image = container["image"].rpartition("/")[2].partition(":")[0]
        return self._images[image].command_line(
            words or command(container, variables),
            user=f"{context['runAsUser']}:{context['runAsGroup']}",
            group=context["fsGroup"],
            variables=variables,
            mounts={
                mount["mountPath"]: pod.volumes[mount["name"]]
                for mount in container["volumeMounts"]
            },
            read_only=[
                *(["/"] if container["securityContext"]["readOnlyRootFilesystem"] else []),
                *(m["mountPath"] for m in container["volumeMounts"] if m.get("readOnly")),
            ],
        )

    def _settings_of(self, container: Manifest) -> dict[str, str]:
        found: dict[str, str] = {}
        for source in container.get("envFrom", []):
            if "configMapRef" in source:
                found |= self._applied["ConfigMap", source["configMapRef"]["name"]]["data"]
        return {**found, **self._settings}

    def _wait_until_ready(self, name: str) -> None:
        """Wait until the command of a pod runs.

        Raises:
            DataError: it has ended, or does not start.
        """
        (container,) = containers(self._pods[name].spec)
        words = "\0".join([*container["command"], ""])
        place = Path(f"/proc/{self._running[name].pid}/cmdline")
        wait_until(
            lambda: not self.is_running(name) or place.read_text() == words, 60, f"pod {name}"
        )
        self._require_running(name)

    def _wait_until_probed(self, name: str) -> None:
        """Wait until the one pod of a Deployment is ready.

        Raises:
            DataError: it has ended, or does not become ready.
        """
        (container,) = containers(self._pods[name].spec)
        path = container["readinessProbe"]["httpGet"]["path"]
        client = Client(container["ports"][0]["containerPort"])

        def is_ready() -> bool:
            try:
                return client.request("GET", path).status == 200
            except ConnectionError:
                client.close()
                return False

        wait_until(lambda: not self.is_running(name) or is_ready(), 300, f"pod {name}")
        client.close()
        self._require_running(name)

    def _ask_service(self, name: str, port: int) -> None:
        """Ask the pod behind a port of a Service for a prediction.

        Raises:
            DataError: it does not give one.
        """
        service = self._applied["Service", name]["spec"]
        pods = self._applied["Deployment", name]["spec"]["template"]
        if not service["selector"].items() <= pods["metadata"]["labels"].items():
            raise DataError(f"service {name}: it selects no pod")
        (container,) = containers(pods["spec"])
        ports = {each["name"]: each["containerPort"] for each in container["ports"]}
        (target,) = (each["targetPort"] for each in service["ports"] if each["port"] == port)
        client = Client(ports[target])
        reply = client.predict("ACDEFGHIKL")
        client.close()
        if reply.status != 200:
            raise DataError(f"service {name}: status {reply.status}: {reply.body!r}")

    def _require_running(self, name: str) -> None:
        if not self.is_running(name):
            raise DataError(f"pod {name} does not run")

    def _log(self, job: str, container: str | None = None) -> None:
        """Find the log of a container of a Job; by default of the first that is not an initial one.

        Raises:
            DataError: it has not run, or has written nothing.
        """
        logs = self._logs.get(job.removeprefix("job/"), {})
        name = container or next(reversed(logs), "")
        if not logs.get(name):
            raise DataError(f"no log of {job}, container {name!r}")

    def _execute(self, name: str, words: Sequence[str], given: bytes = b"") -> bytes:
        self._require_running(name)
        (container,) = containers(self._pods[name].spec)
        return self._run(self._pods[name], container, words, given)

    def _copy_to_pod(self, source: Path, target: str) -> None:
        """Copy a file as kubectl does, which makes no directory: by tar in the pod."""
        pod, _, path = target.partition(":")
        folder, name = posixpath.split(path)
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.add(source, name)
        self._execute(pod, ["tar", "-xmf", "-", "-C", folder], archive.getvalue())

    def _copy_from_pod(self, source: str, target: Path) -> None:
        pod, _, path = source.partition(":")
        archive = io.BytesIO(self._execute(pod, ["tar", "cf", "-", path]))
        with tarfile.open(fileobj=archive) as tar:
            (member,) = tar.getmembers()
            content = tar.extractfile(member)
            assert content is not None, "not a file"
            target.write_bytes(content.read())

    def _delete(self, name: str) -> None:
        """End a pod as Kubernetes does: with SIGTERM, and where that takes too long, without."""
        with self._running.pop(name) as process:
            try:
                process.terminate()
                process.wait(60)
            finally:
                process.kill()


def _directory(pod: str, volume: Manifest) -> str:
    """Return the name of the directory for a volume: one for each claim, new ones for each pod."""
    claim = volume.get("persistentVolumeClaim")
    return claim["claimName"] if claim else f"{pod}-{volume['name']}"
