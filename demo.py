"""python -m demo: from a sample to a model that answers, with the commands a user would type."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from charseq.cli import heavy_imports

ROWS = 120_000
EPOCHS = 5
SAMPLE = Path("data/demo/sample.csv")
DATASET = Path("data/demo/prepared")
RUN = Path("runs/demo")
QUESTIONS = 5


def main() -> int:
    """Run the four commands, ask the exported model, and say how good it is."""
    started = time.monotonic()
    for title, command in (
        ("1. Write labelled sequences of known difficulty",
         f"pipeline.sample --rows {ROWS} --output {SAMPLE}"),
        ("2. Prepare them: split, encode, write TFRecords",
         f"pipeline --input {SAMPLE} --output {DATASET} --overwrite"),
        ("3. Train a stacked LSTM on them and export it",
         f"trainer --data {DATASET} --output {RUN} --epochs {EPOCHS} --overwrite"),
        ("4. Test it on the split that it has not seen",
         f"trainer.evaluate --model {RUN} --data {DATASET} --split test"),
    ):  # fmt: skip
        print(f"\n{title}\n$ python -m {command}", flush=True)
        finished = subprocess.run([sys.executable, "-m", *shlex.split(command)], check=False)
        if finished.returncode:
            return finished.returncode
    print(
        f"\n5. Ask the exported model ({RUN / 'saved_model'}), here of rows of the sample",
        flush=True,
    )
    ask(read_questions(SAMPLE, QUESTIONS))
    print(conclusion(time.monotonic() - started))
    return 0


def read_questions(path: Path, count: int) -> list[tuple[str, str]]:
    """The first (sequence, label) rows of the sample."""
    with path.open(encoding="utf-8") as file:
        next(file)
        return [tuple(next(file).rstrip("\n").split(",")) for _ in range(count)]  # type: ignore[misc]


def ask(questions: list[tuple[str, str]]) -> None:
    """Print what the exported model says of each sequence, using TensorFlow alone."""
    with heavy_imports():
        import tensorflow as tf

        serve = tf.saved_model.load(str(RUN / "saved_model")).signatures["serving_default"]
        answers = serve(tf.constant([sequence for sequence, _ in questions]))
    for (sequence, label), answer, probability in zip(
        questions, answers["label"].numpy(), answers["probability"].numpy(), strict=True
    ):
        print(f"   {sequence:<40}  {answer.decode():<6} {probability:4.0%}   (is {label})")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file."""
    return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def conclusion(seconds: float) -> str:
    """What happened, how good it is, and where everything is."""
    counts = read_json(DATASET / "dataset.json")["counts"]
    accuracy = read_json(RUN / "evaluation-test.json")["accuracy"]
    best = read_json(SAMPLE.with_suffix(".json"))["best_possible_accuracy"]
    trained, tested = counts["train"], counts["test"]
    lines = [
        "",
        f"Done in {seconds:.0f} s. {trained:,} rows trained the model and {tested:,} tested it:",
        f"accuracy {accuracy:.3f}, best possible {best:.3f}: {accuracy / best:.1%} of it.",
        "",
        *(
            f"  {path!s:<34}{what}"
            for path, what in (
                (DATASET / "report.html", "what is in the data; open it in a browser"),
                (DATASET / "dataset.json", "everything about the dataset"),
                (RUN / "saved_model", "the model: raw strings in, labels out"),
                (RUN / "logs", f"tensorboard --logdir {RUN / 'logs'}"),
            )
        ),
        "",
        f"How it learned and how good it is: {(RUN / 'report.html').absolute().as_uri()}",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
