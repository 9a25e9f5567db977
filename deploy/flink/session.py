"""Start a Flink session cluster with Beam's job server on this machine.

It downloads Flink and Beam's job server once (about 150 MB; requires Java and Maven), starts them,
prints the flags for `python -m pipeline`, and ends all processes at Ctrl-C or SIGTERM. Usage:
`python -m deploy.flink.session`.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import signal
import sys
import threading
from collections.abc import Sequence

from charseq.cli import exit_status
from charseq.errors import DataError, UsageError
from deploy.flink.cluster import Cluster, fetch_jars
from deploy.flink.processes import ROOT, listens

CACHE = ROOT / "build" / "flink"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a cluster until Ctrl-C or SIGTERM; return the exit status."""
    return exit_status(lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.flink.session",
        allow_abbrev=False,
        description="Start Flink and Beam's job server on this machine, until Ctrl-C.",
        epilog="Exit status: 0 ended by Ctrl-C or SIGTERM, 1 the cluster could not start or one of "
        "its processes ended, 2 the command line is wrong.",
    )
    parser.add_argument(
        "--task-managers",
        type=int,
        default=2,
        metavar="N",
        help="number of TaskManagers, with one slot each (default: 2)",
    )
    parser.add_argument(
        "--environment",
        choices=("PROCESS", "EXTERNAL"),
        default="PROCESS",
        help="what starts the Python workers: PROCESS, each TaskManager, or "
        "EXTERNAL, a worker pool next to them (default: PROCESS)",
    )
    parser.add_argument(
        "--rest-port",
        type=int,
        default=8081,
        metavar="PORT",
        help="port of Flink's web page and REST API (default: 8081)",
    )
    parser.add_argument(
        "--job-port",
        type=int,
        default=8099,
        metavar="PORT",
        help="port of Beam's job server (default: 8099)",
    )
    return parser


def _run(flags: argparse.Namespace) -> None:
    if flags.task_managers < 1:
        raise UsageError(f"--task-managers: got {flags.task_managers}, expected 1 or more")
    for name in ("rest_port", "job_port"):
        if listens(port := getattr(flags, name)):
            flag = name.replace("_", "-")
            raise DataError(f"port {port} is in use; choose another with --{flag}")
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    folder = CACHE / "session"
    jars = fetch_jars(CACHE)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with Cluster(jars, folder, **vars(flags)) as cluster:
        cluster.wait_until_ready()
        print(f"Flink: {cluster.page}. Logs: {folder}. Press Ctrl-C to stop.")
        print("Flags for python -m pipeline:")
        print(shlex.join(cluster.beam_flags()), flush=True)
        while not stopped.wait(1):
            cluster.require_all_run()


if __name__ == "__main__":
    sys.exit(main())
