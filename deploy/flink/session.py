"""python -m deploy.flink.session: a Flink session cluster on this machine, ready for the pipeline.

It fetches Flink and Beam's job server (some 150 MB, once; Java and Maven needed), starts them, says
which flags make the pipeline run there, and ends them all at Ctrl-C or SIGTERM.
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
    """Run a cluster until it is told to end; return the exit status."""
    return exit_status(lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.flink.session",
        allow_abbrev=False,
        description="Start Flink and Beam's job server on this machine, until Ctrl-C.",
        epilog="Exit status: 0 ended by Ctrl-C or SIGTERM, 1 the cluster could not start or one of "
        "its processes ended, 2 the command line is wrong.",
    )
    parser.add_argument("--task-managers", type=int, default=2, metavar="N",
                        help="of one slot each (default: 2)")  # fmt: skip
    parser.add_argument("--environment", choices=("PROCESS", "EXTERNAL"), default="PROCESS",
                        help="who starts Python: each TaskManager, or a worker pool beside them "
                        "(default: PROCESS)")  # fmt: skip
    parser.add_argument("--rest-port", type=int, default=8081, metavar="PORT",
                        help="of Flink's page and REST interface (default: 8081)")  # fmt: skip
    parser.add_argument("--job-port", type=int, default=8099, metavar="PORT",
                        help="of Beam's job server (default: 8099)")  # fmt: skip
    return parser


def _run(flags: argparse.Namespace) -> None:
    if flags.task_managers < 1:
        raise UsageError(f"--task-managers: got {flags.task_managers}, expected 1 or more")
    for name in ("rest_port", "job_port"):
        if listens(port := getattr(flags, name)):
            flag = name.replace("_", "-")
            raise DataError(f"port {port} is in use; choose another with --{flag}")
    told_to_end = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told_to_end.set())
    folder = CACHE / "session"
    jars = fetch_jars(CACHE)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with Cluster(jars, folder, **vars(flags)) as cluster:
        cluster.wait_until_ready()
        print(f"Flink is at {cluster.page}, what it logs in {folder}; Ctrl-C ends it.")
        print("Give python -m pipeline these flags:")
        print(shlex.join(cluster.beam_flags()), flush=True)
        while not told_to_end.wait(1):
            cluster.require_all_run()


if __name__ == "__main__":
    sys.exit(main())
