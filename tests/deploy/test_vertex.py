"""The jobs for Vertex AI: what they ask of the trainer, and who is who in the cluster it gets."""

from __future__ import annotations

import json
from typing import Any

import pytest
import tensorflow as tf
import yaml

from tests.support.paths import ROOT
from trainer.config import parse_command_line
from trainer.training.distributed import is_chief, make_strategy, strategy_name

pytestmark = pytest.mark.unit

DIRECTORY = ROOT / "deploy" / "vertex"


def spec(name: str) -> dict[str, Any]:
    return yaml.safe_load((DIRECTORY / name).read_text())  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("name", "strategy", "machines"),
    [("mirrored.yaml", "mirrored", [1]), ("multi_worker.yaml", "multi_worker", [1, 3])],
)
def test_each_machine_runs_the_trainer(name: str, strategy: str, machines: list[int]) -> None:
    job = spec(name)
    assert [int(pool["replicaCount"]) for pool in job["workerPoolSpecs"]] == machines
    containers = [pool["containerSpec"] for pool in job["workerPoolSpecs"]]
    assert all(container == containers[0] for container in containers)
    assert containers[0]["command"] == ["python", "-m", "trainer"]
    config = parse_command_line(containers[0]["args"])
    assert (config.strategy, config.data) == (strategy, ("/gcs/BUCKET/prepared",))
    # What a machine that is taken away costs, and that the same command goes on.
    assert (config.checkpoint_every.seconds, config.resume) == (300, "auto")
    output = job["baseOutputDirectory"]["outputUriPrefix"]
    assert config.output == output.replace("gs://", "/gcs/")


def tf_config(kind: str, index: int) -> str:
    """As Vertex sets it: with an environment, the job itself, and a chief beside the workers."""
    return json.dumps(
        {
            "cluster": {
                "chief": ["cmle-training-workerpool0-0f1e2d-0:2222"],
                "worker": [f"cmle-training-workerpool1-0f1e2d-{n}:2222" for n in range(3)],
            },
            "environment": "cloud",
            "task": {"type": kind, "index": index},
            "job": json.dumps(spec("multi_worker.yaml")),
        }
    )


@pytest.mark.parametrize(
    ("kind", "index", "chief"), [("chief", 0, True), ("worker", 0, False), ("worker", 2, False)]
)
@pytest.mark.parametrize("name", ["auto", "multi_worker"])
def test_the_chief_of_vertex_is_the_chief(
    kind: str, index: int, chief: bool, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NotConnected(tf.distribute.MultiWorkerMirroredStrategy):
        """TensorFlow's, but for the start, at which it would wait for the others."""

        def __init__(self) -> None:
            pass

        @property
        def cluster_resolver(self) -> tf.distribute.cluster_resolver.ClusterResolver:
            return tf.distribute.cluster_resolver.TFConfigClusterResolver()

    monkeypatch.setenv("TF_CONFIG", tf_config(kind, index))
    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", NotConnected)
    strategy = make_strategy(name, ())
    assert strategy_name(strategy) == "multi_worker"
    assert is_chief(strategy) is chief
