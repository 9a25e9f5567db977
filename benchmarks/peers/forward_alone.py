"""Run only the forward pass of a SavedModel, on sequences in memory; discard the results."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import tensorflow as tf

from benchmarks.peers.common import SIGNATURE
from pipeline.runtime.memory import configure_allocators


def main(argv: Sequence[str] | None = None) -> int:
    """Read all sequences, sort them by length, and ask the model, several batches at once."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--model", required=True, metavar="DIR")
    parser.add_argument("--input", required=True, metavar="CSV", help="header sequence,label")
    parser.add_argument("--output", required=True, metavar="DIR", help="nothing is written")
    parser.add_argument("--batch", type=int, required=True, metavar="N")
    parser.add_argument("--threads", type=int, required=True, metavar="N")
    arguments = parser.parse_args(argv)
    # Left alone, glibc maps each tensor anew, and threads wait for one another in the kernel.
    configure_allocators()
    model = tf.saved_model.load(arguments.model)
    ask = model.signatures[SIGNATURE]
    sequence = pa_csv.read_csv(arguments.input)["sequence"].combine_chunks()
    order = np.argsort(pc.utf8_length(sequence).to_numpy(), kind="stable")
    texts = sequence.to_numpy(zero_copy_only=False)[order]
    starts = range(0, len(texts), arguments.batch)

    def answer(start: int) -> int:
        answers = ask(sequence=tf.constant(texts[start : start + arguments.batch]))
        return len(answers["probability"].numpy())

    with ThreadPoolExecutor(arguments.threads) as pool:
        answered = sum(pool.map(answer, starts))
    print(f"{answered} answers")
    return 0


if __name__ == "__main__":
    sys.exit(main())
