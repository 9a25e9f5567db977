"""Spark, some 260 MB, from the Maven repository."""

from __future__ import annotations

from pathlib import Path

from deploy.spark.cluster import Cluster
from tests.engines.clusters import test_on_cluster
from tests.engines.datasets import LocalDatasets


def run_tests(logs: Path, local: LocalDatasets) -> int:
    """Run the tests on a standalone cluster; their number."""
    return test_on_cluster(Cluster, logs, local)
