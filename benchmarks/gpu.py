"""Measure this trainer on a GPU, in single and in mixed precision.

Also checks that the LSTM layers ran as cuDNN kernels. Prints Markdown. Without a GPU it reports
this and ends with status 1. Usage: `python -m benchmarks.gpu`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.figures import (
    Figure,
    describe_machine,
    figures_table,
    ratios_table,
    show_command,
)
from benchmarks.samples import make_sample
from benchmarks.training import (
    PACKAGES,
    Contestant,
    Training,
    charseq,
    describe_data,
    prepare_dataset,
    run_training,
    warm_file_cache,
)
from charseq.cli import exit_status, heavy_imports
from charseq.errors import DataError, UsageError
from trainer.settings import Settings

if TYPE_CHECKING:
    import tensorflow as tf

_DEVICE = "GPU:0"
_MIN_ROWS = 1_000
_SINGLE = tuple(charseq(name, name, f"--devices={_DEVICE}") for name in ("embedding", "one_hot"))
_MIXED = tuple(
    charseq(f"{name}_mixed", name, f"--devices={_DEVICE}", "--mixed-precision")
    for name in ("embedding", "one_hot")
)
_FIGURES: Mapping[str, tuple[Figure[Training], str]] = {
    "sequences/s, steady": (lambda one: one.steady_rate, ",.0f"),
    "sequences/s, whole process": (lambda one: one.whole_rate, ",.0f"),
    "validation accuracy": (lambda one: one.accuracy, ".4f"),
}
_RATIOS: Mapping[str, Figure[Training]] = {"sequences/s, steady": lambda one: one.steady_rate}


def require_gpu() -> None:
    """Look whether TensorFlow finds a GPU; its memory is left alone.

    Raises:
        DataError: it finds none.
    """
    with heavy_imports():
        import tensorflow as tf
    if not tf.config.list_physical_devices("GPU"):
        raise DataError("TensorFlow finds no GPU on this machine: there is nothing to measure")


def operations(graph: tf.Graph) -> set[str]:
    """The types of the operations in a graph and in all functions that it calls."""
    definition = graph.as_graph_def()
    found = {node.op for node in definition.node}
    for function in definition.library.function:
        found.update(node.op for node in function.node_def)
    return found


def step_operations(units: Sequence[int]) -> set[str]:
    """The types of the operations of a training step that has run: forward and back, masked."""
    import tensorflow as tf

    from trainer.model.network import EmbeddingSize, build_model

    model = build_model((31,), 8, units, embedding=EmbeddingSize(27, Settings.embedding_dim))

    @tf.function
    def step(features: dict[str, tf.Tensor]) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(features, training=True) ** 2)
        gradients: list[tf.Tensor] = tape.gradient(loss, model.trainable_variables)
        return gradients

    features = {
        "sequence": tf.ones((4, 31), tf.int64),
        "length": tf.constant([31, 20, 10, 1], tf.int64),
    }
    step(features)
    return operations(step.get_concrete_function(features).graph)


def measure(rows: int, epochs: int, repeats: int) -> dict[str, list[Training]]:
    """Train each contestant in turn, `repeats` times over; give its trainings by name."""
    contestants: Sequence[Contestant] = (*_SINGLE, *_MIXED)
    trainings: dict[str, list[Training]] = {one.name: [] for one in contestants}
    with tempfile.TemporaryDirectory(prefix="charseq-benchmark-") as name:
        directory = Path(name)
        sample = make_sample(directory, rows, "mixed")
        data = describe_data(prepare_dataset(sample, directory / "dataset"))
        scratch = directory / "scratch"
        scratch.mkdir()
        warm_file_cache(contestants)
        for repeat in range(1, repeats + 1):
            for one in contestants:
                training = run_training(one, data, epochs, scratch)
                trainings[one.name].append(training)
                rate = f"{training.steady_rate:,.0f} sequences/s"
                print(f"{repeat}/{repeats} {one.name}: {rate}", file=sys.stderr)
    return trainings


def _measure(argv: Sequence[str] | None) -> None:
    arguments = _parser().parse_args(argv)
    if arguments.rows < _MIN_ROWS or arguments.repeats < 1 or arguments.epochs < 2:
        raise UsageError(f"--rows takes {_MIN_ROWS} or more, --repeats 1, --epochs 2 or more")
    require_gpu()
    machine = describe_machine(PACKAGES)
    trainings = measure(arguments.rows, arguments.epochs, arguments.repeats)
    print(
        f"`{show_command('benchmarks.gpu', argv)}`: {arguments.rows:,} rows, medians of "
        f"{arguments.repeats}.\n{machine}\n\n{figures_table(trainings, _FIGURES)}\n"
    )
    pairs = [(mixed.name, single.name) for mixed, single in zip(_MIXED, _SINGLE, strict=True)]
    print(f"{ratios_table(pairs, trainings, _RATIOS)}\n")
    # Last of all: from here on this process holds the GPU.
    kernels = sorted(
        name for name in step_operations(Settings.units) if name.startswith("CudnnRNN")
    )
    if not kernels:
        raise DataError(f"the LSTM layers do not run as cuDNN's kernels on {_DEVICE}")
    print(f"The LSTM layers ran as {', '.join(kernels)}.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description="Time this trainer on a GPU; print Markdown.",
        allow_abbrev=False,
        epilog="Exit status: 0 done, 1 no GPU or the LSTM layers are not cuDNN's.",
    )
    parser.add_argument(
        "--rows",
        type=int,
        default=1_085_420,
        metavar="N",
        help="number of rows (default: %(default)s)",
    )
    parser.add_argument(
        "--epochs", type=int, default=3, metavar="N", help="number of epochs (default: %(default)s)"
    )
    parser.add_argument(
        "--repeats",
        type=int,
        default=3,
        metavar="N",
        help="number of rounds (default: %(default)s)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Measure as the command line says; return the exit status."""
    return exit_status(lambda: _measure(argv))


if __name__ == "__main__":
    sys.exit(main())
