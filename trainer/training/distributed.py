"""The devices to compute on, the strategy that splits a batch over them, and its workers."""

from __future__ import annotations

import os
import re
import signal
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout

import tensorflow as tf

from charseq.errors import DataError, LostWorkerError
from trainer.cluster import EXPECTED, VARIABLE, no_cluster, read_workers

# A worker, in TensorFlow's words.
_TASK = r"/job:(?P<job>chief|worker)/replica:0/task:(?P<index>[0-9]+)"


def make_strategy(name: str, devices: Sequence[str]) -> tf.distribute.Strategy:
    """Return a strategy. Call it before TensorFlow computes: only then can a CPU be divided.

    One device needs no strategy, whatever the name; neither does a cluster of one worker, which is
    this machine.

    Args:
        name: auto, none, mirrored or multi_worker.
        devices: such as CPU:1; () for all.

    Raises:
        DataError: this machine has no such device, or TF_CONFIG is wrong or names no workers.
    """
    workers = read_workers() if name in ("auto", "multi_worker") else ()
    if name == "multi_worker" and not workers:
        raise DataError(f"--strategy multi_worker: no workers in {VARIABLE}; {EXPECTED}")
    if len(workers) > 1:
        return _multi_worker_strategy(devices)
    _divide_cpu(devices)
    present = [device.name.removeprefix("/device:") for device in tf.config.list_logical_devices()]
    for device in devices:
        if device not in present:
            raise DataError(f"--devices: got {device!r}, expected of {', '.join(present)}")
    gpus = [device for device in present if device.startswith("GPU:")]
    chosen = list(devices) or gpus or ["CPU:0"]
    if name != "none" and len(chosen) > 1:
        with no_cluster():  # TensorFlow would look for one here, too.
            return tf.distribute.MirroredStrategy(chosen)
    return tf.distribute.OneDeviceStrategy(chosen[0])


def strategy_name(strategy: tf.distribute.Strategy) -> str:
    """Return the name of a strategy, as `make_strategy` takes it."""
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return "multi_worker"
    return "mirrored" if isinstance(strategy, tf.distribute.MirroredStrategy) else "none"


def _multi_worker_strategy(devices: Sequence[str]) -> tf.distribute.Strategy:
    if devices:
        raise DataError("--devices: multi_worker takes all GPUs of each worker, or its CPU")
    return tf.distribute.MultiWorkerMirroredStrategy()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Return whether this process writes and prints: it is no worker, or the chief of them."""
    if strategy_name(strategy) != "multi_worker":
        return True
    resolver = strategy.cluster_resolver
    has_chief = "chief" in resolver.cluster_spec().jobs
    return resolver.task_type == "chief" or (not has_chief and resolver.task_id == 0)


@contextmanager
def chief_output_dir(strategy: tf.distribute.Strategy, output: str) -> Iterator[str]:
    """Yield the directory to write to: `output` for the chief.

    Other workers compute and write the same; their files go to a directory that is removed after
    the block, and what they print is dropped.
    """
    if is_chief(strategy):
        yield output
        return
    with (
        tempfile.TemporaryDirectory() as directory,
        open(os.devnull, "w", encoding="utf-8") as devnull,
        redirect_stdout(devnull),
    ):
        yield directory


def wait_for_workers(strategy: tf.distribute.Strategy) -> None:
    """Return when every worker has called this."""
    _sum_over_replicas(strategy, 0)


def any_worker(strategy: tf.distribute.Strategy, flag: bool) -> bool:
    """Return whether `flag` is true for at least one worker."""
    return _sum_over_replicas(strategy, int(flag)) > 0


def check_equal_on_workers(strategy: tf.distribute.Strategy, value: int, what: str) -> None:
    """Check that all workers have the same value; `what` names it.

    Raises:
        DataError: they differ.
    """
    if _sum_over_replicas(strategy, value) != value * strategy.num_replicas_in_sync:
        raise DataError(f"{what}: {value} here, another value elsewhere: --output must be shared")


def _sum_over_replicas(strategy: tf.distribute.Strategy, value: int) -> int:
    """Return the sum over all replicas of the value that their worker has."""
    if strategy_name(strategy) != "multi_worker":
        return value * int(strategy.num_replicas_in_sync)
    values = strategy.experimental_distribute_values_from_function(lambda _: tf.constant(value))
    return int(strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None).numpy())


@contextmanager
def report_lost_worker() -> Iterator[None]:
    """Turn the loss of another worker, in the block, into a user-facing error.

    TensorFlow notices at once that a process has ended, and after some 10 s without heartbeats that
    one hangs or its machine is gone.

    Raises:
        LostWorkerError: a worker is lost.
    """
    try:
        yield
    except (
        tf.errors.UnavailableError,
        tf.errors.AbortedError,
        tf.errors.CancelledError,
        tf.errors.DeadlineExceededError,
    ) as error:
        raise LostWorkerError(
            f"{name_worker(error.message)} is lost; start all of them again, or those that are "
            "left, and they go on from the newest checkpoint"
        ) from error


def name_worker(message: str) -> str:
    """Return which worker an error of TensorFlow is about, as `worker 2`."""
    # "unhealthy" is about the task after it, and comes after the task that reports it.
    for expression in (rf"unhealthy.*?{_TASK}", f"remote target {_TASK}"):
        if match := re.search(expression, message, re.DOTALL):
            return "the chief" if match["job"] == "chief" else f"worker {match['index']}"
    return "another worker"


def resolve_jit_compile(option: str, strategy: tf.distribute.Strategy) -> bool:
    """Return whether XLA compiles the steps, for the option auto, on or off.

    auto: on CPUs, where XLA makes an LSTM twice as fast. On a GPU it would rule out the kernels of
    cuDNN.
    """
    if option != "auto":
        return option == "on"
    return "device:CPU" in strategy.extended.worker_devices[0]


@contextmanager
def sigterm_event() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM sets, instead of ending the process, while the block runs.

    A SIGTERM that the block did not act on ends the process after it.
    """
    received = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: received.set())
    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, before)
    if received.is_set():
        signal.raise_signal(signal.SIGTERM)


def _divide_cpu(devices: Sequence[str]) -> None:
    """Create as many logical CPUs as `devices` name: CPU:0 and CPU:1 are two."""
    numbers = [int(name.removeprefix("CPU:")) for name in devices if name.startswith("CPU:")]
    if max(numbers, default=0) > 0:
        cpu = tf.config.list_physical_devices("CPU")[0]
        logical = [tf.config.LogicalDeviceConfiguration() for _ in range(max(numbers) + 1)]
        tf.config.set_logical_device_configuration(cpu, logical)
