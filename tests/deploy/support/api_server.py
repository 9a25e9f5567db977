"""A real kube-apiserver with etcd, and nothing behind them: they judge, and start no pod.

They are built from Kubernetes's Go modules, which takes Go and some minutes; what is built stays
in the user's cache. DEPLOY_SERVER=1 builds them where they are missing, DEPLOY_SERVER=0 does
without; else they are used where they are there.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from charseq.errors import DataError
from deploy.support.processes import LOOPBACK, Service, free_ports, wait_until
from tests.deploy.support.tools import CACHE, run

_MODULE = Path(__file__).with_name("server")
_PACKAGES = ("k8s.io/kubernetes/cmd/kube-apiserver", "go.etcd.io/etcd/server/v3")
_API_SERVER, _ETCD = "kube-apiserver", "server"
_VERSION = "v1.36.3"


@dataclass(frozen=True)
class ApiServer:
    """A server that is ready; kubectl: the command that asks it."""

    kubectl: Sequence[str]

    def ask(self, *words: str) -> str:
        """What kubectl prints.

        Raises:
            DataError: the server refuses, or warns.
        """
        command = [*self.kubectl, *words]
        outcome = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if outcome.returncode or outcome.stderr:
            raise DataError(outcome.stderr.strip())
        return outcome.stdout

    def has(self, path: str) -> bool:
        """Whether it answers at a path of its API."""
        command = [*self.kubectl, "get", "--raw", path]
        return subprocess.run(command, capture_output=True, timeout=60).returncode == 0

    def apply(self, *flags: str) -> int:
        """Let the server take what `flags` name; the number of objects."""
        return len(self.ask("apply", "--server-side", *flags).splitlines())

    def dry_run(self, *flags: str) -> int:
        """The same, without keeping anything."""
        return self.apply("--dry-run=server", *flags)


@contextmanager
def api_server(tools: Path) -> Iterator[ApiServer | None]:
    """A server while the block runs; None, which is said, where none is there or wanted.

    Raises:
        DataError: it cannot be built or does not start.
    """
    programs = _programs()
    if programs is None:
        print("kube-apiserver: not run (DEPLOY_SERVER=1 builds it); the schemas only")
        yield None
        return
    folder = CACHE / "server"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with ExitStack() as services:
        server = ApiServer(_start(programs, tools, folder, services))
        wait_until(lambda: server.has("/readyz"), 120, f"an API server (its log is in {folder})")
        print(f"kube-apiserver {_VERSION} with etcd: runs, in {folder}")
        yield server


def _programs() -> Path | None:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "charseq" / f"kubernetes-{_VERSION}"
    wanted = os.environ.get("DEPLOY_SERVER", "")
    held = folder / "go.sum"
    if wanted == "0":
        return None
    if held.exists() and held.read_bytes() == (_MODULE / held.name).read_bytes():
        return folder
    return _build(folder) if wanted == "1" else None


def _build(folder: Path) -> Path:
    if shutil.which("go") is None:
        raise DataError("DEPLOY_SERVER=1 needs Go 1.26 or later, to build kube-apiserver with")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    flags = f"-s -w -X k8s.io/component-base/version.gitVersion={_VERSION}"
    # Cgo would bind them to this machine's C library.
    command = [
        "env",
        "CGO_ENABLED=0",
        "go",
        "build",
        "-C",
        str(_MODULE),
        "-trimpath",
        f"-ldflags={flags}",
        "-o",
        f"{folder}/",
        *_PACKAGES,
    ]
    run(command, seconds=3600)
    shutil.copy(_MODULE / "go.sum", folder)
    return folder


def _start(programs: Path, tools: Path, folder: Path, services: ExitStack) -> list[str]:
    """Start both; the kubectl command that asks the server."""
    client, peer, port = free_ports(3)
    etcd, peers = f"http://{LOOPBACK}:{client}", f"http://{LOOPBACK}:{peer}"
    key, tokens, certificates = folder / "key.pem", folder / "tokens.csv", folder / "certificates"
    _write_key(key)
    token = secrets.token_hex()
    tokens.write_text(f"{token},tester,tester,system:masters\n")

    def start(program: str, flags: dict[str, object]) -> None:
        words = [str(programs / program), *(f"--{name}={value}" for name, value in flags.items())]
        services.callback(Service(words, folder / f"{program}.log").end)

    start(
        _ETCD,
        {
            "data-dir": folder / "etcd",
            "listen-client-urls": etcd,
            "advertise-client-urls": etcd,
            "listen-peer-urls": peers,
            "initial-advertise-peer-urls": peers,
            "initial-cluster": f"default={peers}",
        },
    )
    start(
        _API_SERVER,
        {
            "etcd-servers": etcd,
            "bind-address": LOOPBACK,
            "advertise-address": LOOPBACK,
            "secure-port": port,
            # Of an API server at the loopback, others could not be told.
            "endpoint-reconciler-type": "none",
            "cert-dir": certificates,
            "service-account-issuer": "https://charseq.invalid",
            "service-account-key-file": key,
            "service-account-signing-key-file": key,
            "service-cluster-ip-range": "10.0.0.0/24",
            "token-auth-file": tokens,
            "authorization-mode": "AlwaysAllow",
        },
    )
    return [
        str(tools / "kubectl"),
        "--kubeconfig=/dev/null",
        f"--token={token}",
        f"--server=https://{LOOPBACK}:{port}",
        f"--certificate-authority={certificates / 'apiserver.crt'}",
    ]


def _write_key(path: Path) -> None:
    """The key of service accounts' tokens, without which the server does not start."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
