"""Train with this trainer, whose replicas add sums up in an order of their own.

Each adds up its parts of a batch, and TensorFlow adds up what all have: that of variables once more
in the optimizer, where this trainer sends every part to all replicas first.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from charseq.cli import heavy_imports

with heavy_imports():
    import tensorflow as tf

    from trainer.steps import replica, replicas


def add_own(
    parts: Sequence[Sequence[tf.Tensor]], count: int, shapes: Sequence[Sequence[int]]
) -> list[tf.Tensor]:
    """Return the sums over this replica's parts."""
    if not parts:
        return [tf.zeros(shape) for shape in shapes]
    return [tf.add_n(terms) for terms in zip(*parts, strict=True)]


def main() -> int:
    """Train as the command line of `python -m trainer` says; return the exit status."""
    from trainer.__main__ import main as train

    for module in (replica, replicas):
        module.keep_on_first = tf.identity
    replica.add_in_order = add_own
    return train()


if __name__ == "__main__":
    sys.exit(main())
