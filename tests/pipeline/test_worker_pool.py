"""What listens in the pipeline's processes, and where."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer

from deploy.support.processes import free_ports
from pipeline.runtime import job, loopback
from pipeline.runtime.loopback import bind_servers_to
from pipeline.worker_pool import main
from tests.support.listening import listening_hosts
from tests.support.paths import ROOT


@pytest.fixture(autouse=True)
def own_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test gRPC as it is imported: jobs of other tests may have bound its servers."""
    monkeypatch.setattr(grpc, "server", loopback._new_server)


@pytest.mark.parametrize(
    ("requested", "found"),
    [("[::]", {"127.0.0.1"}), ("127.0.0.2", {"127.0.0.2"})],
)
def test_a_server_listens_on_the_loopback_unless_it_names_an_address(
    requested: str, found: set[str]
) -> None:
    bind_servers_to("127.0.0.1")
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port(f"{requested}:0")
    assert listening_hosts(port) == found
    server.stop(0)


def test_beam_itself_listens_on_all_interfaces() -> None:
    """Where this fails, `pipeline.runtime.loopback` is not needed."""
    (port,) = free_ports(1)
    _, server = BeamFnExternalWorkerPoolServicer.start(port=port)
    assert listening_hosts(port) == {"::"}
    server.stop(0)


def test_a_job_on_this_machine_has_its_servers_on_the_loopback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bound: list[str] = []
    monkeypatch.setattr(job, "bind_servers_to", bound.append)
    job.new_job(["--direct_running_mode=multi_processing", "--direct_num_workers=2"], [])
    assert bound == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("flags", "hosts"), [([], {"127.0.0.1"}), (["--host", "127.0.0.3"], {"127.0.0.3"})]
)
def test_the_worker_pool_listens_where_it_is_told(flags: list[str], hosts: set[str]) -> None:
    (port,) = free_ports(1)
    pool = subprocess.Popen(
        [sys.executable, "-m", "pipeline.worker_pool", "--port", str(port), *flags],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert pool.stdout is not None
    assert pool.stdout.readline() == (
        f"starting workers for those who ask at {min(hosts)}:{port}\n"
    )
    assert listening_hosts(port) == hosts
    pool.send_signal(signal.SIGTERM)
    _, said = pool.communicate(timeout=60)
    assert (pool.returncode, said.splitlines()[-1]) == (143, "terminated")


def test_a_port_that_is_in_use_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    server = grpc.server(ThreadPoolExecutor(1), options=[("grpc.so_reuseport", 0)])
    port = server.add_insecure_port("127.0.0.1:0")
    assert main(["--host", "203.0.113.1", "--port", str(port)]) == 1
    assert capsys.readouterr().err.startswith(f"error: 203.0.113.1:{port}: cannot listen there")
    server.stop(0)
