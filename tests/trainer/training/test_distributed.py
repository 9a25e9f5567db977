"""Which worker is lost, as TensorFlow reports it."""

from __future__ import annotations

import pytest
import tensorflow as tf

from charseq.errors import LostWorkerError
from trainer.training.distributed import name_worker, report_lost_worker

pytestmark = pytest.mark.unit

HANGS = (
    "Graph execution error:\nCollective ops is aborted by: Error reported from "
    "/job:worker/task:1: The following tasks are unhealthy (stopped sending heartbeats):\n"
    "/job:worker/replica:0/task:3\nThe tasks have crashed."
)
ENDED = (
    "Collective ops is aborted by: recvmsg:Connection reset by peer\nAdditional GRPC error "
    "information from remote target /job:worker/replica:0/task:2 while calling "
    "/tensorflow.WorkerService/RecvBuf:"
)
CHIEF_ENDED = ENDED.replace("/job:worker/replica:0/task:2", "/job:chief/replica:0/task:0")
NO_HEARTBEAT = "Collective ops is aborted by: Deadline Exceeded\n\nRPC: /tensorflow.Coordination"


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (HANGS, "worker 3"),
        (ENDED, "worker 2"),
        # The leader tells the others, in its own message.
        (f"{ENDED.replace('task:2', 'task:0')} {HANGS}", "worker 3"),
        (CHIEF_ENDED, "the chief"),
        (NO_HEARTBEAT, "another worker"),
    ],
)
def test_the_lost_worker_is_named(message: str, name: str) -> None:
    assert name_worker(message) == name


@pytest.mark.parametrize(
    "kind",
    [
        tf.errors.UnavailableError,
        tf.errors.AbortedError,
        tf.errors.CancelledError,
        tf.errors.DeadlineExceededError,
    ],
)
def test_a_lost_worker_is_reported_with_what_to_do(kind: type[tf.errors.OpError]) -> None:
    with pytest.raises(LostWorkerError) as raised, report_lost_worker():
        raise kind(None, None, ENDED)
    assert str(raised.value) == (
        "worker 2 is lost; start all of them again, or those that are left, and they go on from "
        "the newest checkpoint"
    )
