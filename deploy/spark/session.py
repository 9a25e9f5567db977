"""Start a standalone Spark cluster with Beam's job server on this machine.

It downloads Spark and Beam's job server once (about 250 MB; requires Java and Maven), starts them,
prints the flags for `python -m pipeline`, and ends all processes at Ctrl-C or SIGTERM. Usage:
`python -m deploy.spark.session`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from deploy.spark.cluster import Cluster
from deploy.support.session import run_session


def main(argv: Sequence[str] | None = None) -> int:
    """Run a cluster until Ctrl-C or SIGTERM; return the exit status."""
    return run_session(Cluster, argv)


if __name__ == "__main__":
    sys.exit(main())
