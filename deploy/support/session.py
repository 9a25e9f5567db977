"""A command that runs a cluster on this machine until Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import shlex
import shutil
import signal
import threading
from collections.abc import Sequence

from charseq.cli import exit_status
from charseq.errors import DataError, UsageError
from deploy.support.cluster import ENVIRONMENTS, LocalCluster
from deploy.support.maven import fetch_jars
from deploy.support.processes import listens


def run_session(kind: type[LocalCluster], argv: Sequence[str] | None) -> int:
    """Run a cluster of a kind until Ctrl-C or SIGTERM; return the exit status."""
    return exit_status(lambda: _run(kind, _parser(kind).parse_args(argv)))


def _parser(kind: type[LocalCluster]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m deploy.{kind.name.lower()}.session",
        allow_abbrev=False,
        description=f"Start {kind.name} and Beam's job server on this machine, until Ctrl-C.",
        epilog="Exit status: 0 ended by Ctrl-C or SIGTERM, 1 the cluster could not start or one of "
        "its processes ended, 2 the command line is wrong.",
    )
    parser.add_argument(
        kind.workers_flag,
        dest="workers",
        type=int,
        default=2,
        metavar="N",
        help=f"number of {kind.worker_name}s, with one core each (default: 2)",
    )
    parser.add_argument(
        "--environment",
        choices=ENVIRONMENTS,
        default="PROCESS",
        help=f"what starts the Python workers: PROCESS, each {kind.worker_name}, or "
        "EXTERNAL, a worker pool next to them (default: PROCESS)",
    )
    parser.add_argument(
        kind.page_flag,
        dest="page_port",
        type=int,
        default=kind.usual_page_port,
        metavar="PORT",
        help=f"port of {kind.name}'s web page (default: {kind.usual_page_port})",
    )
    parser.add_argument(
        "--job-port",
        type=int,
        default=8099,
        metavar="PORT",
        help="port of Beam's job server (default: 8099)",
    )
    return parser


def _run(kind: type[LocalCluster], flags: argparse.Namespace) -> None:
    if flags.workers < 1:
        raise UsageError(f"{kind.workers_flag}: got {flags.workers}, expected 1 or more")
    for flag, port in ((kind.page_flag, flags.page_port), ("--job-port", flags.job_port)):
        if listens(port):
            raise DataError(f"port {port} is in use; choose another with {flag}")
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    folder = kind.cache() / "session"
    jars = fetch_jars(kind.cache(), kind.pom)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with kind(jars, folder, **vars(flags)) as cluster:
        cluster.wait_until_ready()
        print(f"{kind.name}: {cluster.page}. Logs: {folder}. Press Ctrl-C to stop.")
        print("Flags for python -m pipeline:")
        print(shlex.join(cluster.beam_flags()), flush=True)
        while not stopped.wait(1):
            cluster.require_all_run()
