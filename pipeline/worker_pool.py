"""python -m pipeline.worker_pool: start Beam's workers where a runner asks for them.

It is Beam's worker pool (`boot --worker_pool`), but listens on the loopback interface only.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from charseq.cli import exit_status, heavy_imports
from charseq.errors import DataError
from charseq.flags import flag, make_parser, parse, validate


@dataclass(frozen=True)
class WorkerPoolOptions:
    """Where the pool listens, and what it starts.

    Raises:
        UsageError: the port is not one.
    """

    host: str = flag(
        "address to listen at; whoever reaches any other than the loopback's may run programs here",
        default="127.0.0.1",
        metavar="ADDRESS",
    )
    port: int = flag(
        "port to listen at", default=50000, metavar="PORT", minimum=1, maximum=2**16 - 1
    )
    boot: str = flag(
        "program that starts a worker", default="/opt/apache/beam/boot", metavar="FILE"
    )

    def __post_init__(self) -> None:
        validate(self)


def parse_command_line(argv: Sequence[str] | None) -> WorkerPoolOptions:
    """Return the options of the pool.

    Raises:
        UsageError, SystemExit: as `charseq.flags.parse`.
    """
    parser = make_parser(
        WorkerPoolOptions,
        prog="python -m pipeline.worker_pool",
        description="Start Beam's Python workers for a runner with --environment_type=EXTERNAL.",
        epilog="Exit status: 1 the port cannot be used, 2 the command line is wrong, 130 or 143 "
        "ended by Ctrl-C or SIGTERM.",
    )
    return parse(WorkerPoolOptions, parser, argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C or SIGTERM; return the exit status."""
    return exit_status(lambda: _serve(parse_command_line(argv)))


def _serve(options: WorkerPoolOptions) -> None:
    with heavy_imports():
        from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer

        from pipeline.runtime.loopback import bind_servers_to

    bind_servers_to(options.host)
    try:
        _, server = BeamFnExternalWorkerPoolServicer.start(
            use_process=True, port=options.port, container_executable=options.boot
        )
    except RuntimeError as error:
        raise DataError(f"{options.host}:{options.port}: cannot listen there: {error}") from error
    print(f"starting workers for those who ask at {options.host}:{options.port}", flush=True)
    try:
        threading.Event().wait()
    finally:
        server.stop(0)


if __name__ == "__main__":
    sys.exit(main())
