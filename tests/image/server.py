"""The image of the server, on a registry of small models."""

from __future__ import annotations

import subprocess
from pathlib import Path

from charseq.cli import heavy_imports
from charseq.errors import DataError
from charseq.server.options import ServeOptions
from deploy.support.processes import wait_until
from tests.engines.checks import check, step
from tests.image.storage import Container
from tests.support.serving import Client

PORT = ServeOptions(registry="models").port
_REGISTRY = "/registry"


def test_a_server_answers(server: Container, folder: Path) -> None:
    """As its entry point, as its user, with nothing to write to but /tmp; a promotion; SIGTERM."""
    with step("SavedModels of two versions"):
        with heavy_imports():
            from tests.support import versioned_model as models
        made = [
            models.save_versioned_model(folder / f"model-{number}", number) for number in (1, 2)
        ]
    registry = models.make_registry(folder / "registry", made[0])
    words = server.entry("--registry", _REGISTRY, "--host", "0.0.0.0")
    line = server.command_line(words, {_REGISTRY: registry}, read_only=("/", _REGISTRY))
    client = Client(PORT)

    def ask(path: str) -> int:
        try:
            return client.request("GET", path).status
        except ConnectionError:
            client.close()
            return 0

    def check_answer(version: int) -> None:
        reply = client.predict("abc")
        fault = models.find_fault("abc", reply.status, str(reply.version), reply.body)
        check("answer", (fault, reply.version), ("", version))

    if ask("/healthz"):
        raise DataError(f"a program of this machine listens at port {PORT}, which the image needs")
    check("health without a server", server.ask(*server.health_check()).returncode, 1)
    with subprocess.Popen(line, stdout=subprocess.DEVNULL) as process:
        try:
            with step("server starts, with a read-only file system"):
                wait_until(lambda: process.poll() is not None or ask("/readyz") == 200, 120, "it")
            check("status of the server", process.poll(), None)
            with step("health check of a server"):
                server.run(*server.health_check())
            check("/healthz", ask("/healthz"), 200)
            check_answer(version=1)
            models.add_version(registry, 2, made[1])
            models.point(registry, 2)
            with step("another version takes over"):
                wait_until(lambda: client.predict("ab").version == 2, 120, "version 2")
            check_answer(version=2)
            process.terminate()
            check("status after SIGTERM", process.wait(60), 143)
        finally:
            client.close()
            process.kill()
