"""Run the whole way from a sample to predictions, with the commands a user would type.

Usage: `charseq demo`, or `make demo`.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from charseq.cli import heavy_imports

ROWS = 6_000
SAMPLE = Path("data/demo/sample.csv")
DATASET = Path("data/demo/prepared")
RUN = Path("runs/demo")
NUM_PREDICTIONS = 5


def main() -> int:
    """Run the four commands, predict some rows, and print a summary; return the exit status."""
    started = time.monotonic()
    for title, command in (
        ("1. Generate labelled sequences", f"sample --rows {ROWS} --output {SAMPLE}"),
        (
            "2. Prepare them: split, encode, write TFRecords",
            f"prepare --input {SAMPLE} --output {DATASET} --overwrite",
        ),
        (
            "3. Train a model on them and export it",
            f"train --data {DATASET} --output {RUN} --overwrite",
        ),
        (
            "4. Evaluate it on the test split",
            f"evaluate --model {RUN} --data {DATASET} --split test",
        ),
    ):
        print(f"\n{title}\n$ charseq {command}", flush=True)
        finished = subprocess.run(
            [sys.executable, "-m", "charseq", *shlex.split(command)], check=False
        )
        if finished.returncode:
            return finished.returncode
    print(
        f"\n5. Predict rows of the sample with the exported model ({RUN / 'saved_model'})",
        flush=True,
    )
    predict(read_rows(SAMPLE, NUM_PREDICTIONS))
    print(summary(time.monotonic() - started))
    return 0


def read_rows(path: Path, count: int) -> list[tuple[str, str]]:
    """Return the first `count` rows of a sample as (sequence, label)."""
    with path.open(encoding="utf-8") as file:
        next(file)
        return [tuple(next(file).rstrip("\n").split(",")) for _ in range(count)]  # type: ignore[misc]


def predict(rows: list[tuple[str, str]]) -> None:
    """Print the predicted label and its probability for each row, using TensorFlow only."""
    with heavy_imports():
        import tensorflow as tf

        from charseq.models.saved_model import load_saved_model

        path = str(RUN / "saved_model")
        serve = load_saved_model(path, path, trust_model=False).signatures["serving_default"]
        outputs = serve(tf.constant([sequence for sequence, _ in rows]))
    for (sequence, label), predicted, probability in zip(
        rows, outputs["label"].numpy(), outputs["probability"].numpy(), strict=True
    ):
        print(f"   {sequence:<40}  {predicted.decode():<6} {probability:4.0%}   (label: {label})")


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file."""
    return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def summary(seconds: float) -> str:
    """Return a summary: number of rows, accuracy, and where the output files are."""
    counts = read_json(DATASET / "dataset.json")["counts"]
    accuracy = read_json(RUN / "evaluation-test.json")["accuracy"]
    best = read_json(SAMPLE.with_suffix(".json"))["best_possible_accuracy"]
    trained, tested = counts["train"], counts["test"]
    lines = [
        "",
        f"Done in {seconds:.0f} s: trained on {trained:,} rows, evaluated on {tested:,} rows.",
        f"Accuracy {accuracy:.3f}, {accuracy / best:.1%} of the best possible {best:.3f}.",
        "",
        *(
            f"  {path!s:<34}{contents}"
            for path, contents in (
                (DATASET / "report.html", "report on the data; open it in a browser"),
                (DATASET / "dataset.json", "manifest of the dataset"),
                (RUN / "saved_model", "the exported model: raw strings in, labels out"),
                (RUN / "logs", f"tensorboard --logdir {RUN / 'logs'}"),
            )
        ),
        "",
        f"Report on training and evaluation: {(RUN / 'report.html').absolute().as_uri()}",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
