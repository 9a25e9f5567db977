"""python -m tests.break_promises: break each promise once, and see a test fail.

Works on a copy of the tree. Exit status 1 if a broken promise goes unnoticed, or if a line to
break is no longer there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.support.paths import ROOT


class Breakage(NamedTuple):
    """A promise, the change to a file that breaks it, and the tests that must notice."""

    promise: str
    file: str
    old: str
    new: str
    tests: str


BREAKAGES = (
    Breakage(
        "every row is accounted for: an unseen label is written down",
        "pipeline/dataset/dofns.py",
        "rejected = [] if keep.all()",
        "rejected = [] if True",
        "tests/pipeline/dataset/test_prepare.py -k unseen or seen_in_no_train_row",
    ),
    Breakage(
        "every row is accounted for: a sum that does not hold publishes nothing",
        "pipeline/dataset/manifest.py",
        'if found != counts["read"]:',
        "if False:",
        "tests/pipeline/dataset/test_manifest.py",
    ),
    Breakage(
        "every row is accounted for: where a range of a file begins",
        "pipeline/rows/blocks.py",
        "stream.seek(part.start - 1)",
        "stream.seek(part.start)",
        "tests/pipeline/rows/test_blocks.py",
    ),
    Breakage(
        "the same bytes: whatever the order of arrival",
        "pipeline/dataset/shards.py",
        "settled = pc.sort_indices(",
        "settled = pa.array(range(len(ties))) if True else pc.sort_indices(",
        "tests/pipeline/dataset/test_shards.py",
    ),
    Breakage(
        "the same bytes: from other files, orders and workers",
        "pipeline/dataset/shards.py",
        "order = np.argsort(hashes)",
        "order = np.arange(len(hashes))",
        "tests/pipeline/dataset/test_prepare.py -k same_bytes",
    ),
    Breakage(
        "the same bytes: as protobuf writes them",
        "pipeline/dataset/tfrecord.py",
        "rotated + np.uint32(0xA282EAD8)",
        "rotated + np.uint32(0xA282EAD9)",
        "tests/pipeline/dataset/test_tfrecord.py",
    ),
    Breakage(
        "no leak: equal after the cut means the same split",
        "pipeline/dataset/dofns.py",
        "hashes = hash_sequences(sequence, self._options.seed)",
        'hashes = hash_sequences(rows["sequence"], self._options.seed)',
        "tests/pipeline/dataset/test_prepare.py -k plain_python",
    ),
    Breakage(
        "no leak: --verify finds a sequence in two splits",
        "pipeline/verify.py",
        "_require(len(shared), 0,",
        "_require(0, 0,",
        "tests/pipeline/test_verify.py",
    ),
    Breakage(
        "no leak: equal rows are written once",
        "pipeline/dataset/shards.py",
        "duplicate = same_sequence & same_label",
        "duplicate = same_sequence & same_label & False",
        "tests/pipeline/dataset/test_shards.py",
    ),
    Breakage(
        "globally shuffled: rows lie in hash order",
        "pipeline/dataset/shards.py",
        "order = np.argsort(hashes)",
        "order = np.argsort(hashes)[::-1].copy()",
        "tests/pipeline/dataset/test_prepare.py -k plain_python",
    ),
    Breakage(
        "all or nothing: the manifest comes last",
        "pipeline/runtime/staging.py",
        "*moves, manifest_move = [",
        "manifest_move, *moves = [",
        "tests/pipeline/dataset/test_publish.py",
    ),
    Breakage(
        "twice is once: another content of an input file is refused",
        "pipeline/dataset/existing.py",
        "(comparable and one != other)",
        "False",
        "tests/pipeline/dataset/test_existing.py",
    ),
    Breakage(
        "all or nothing: a flipped bit is found",
        "pipeline/verify.py",
        '_require(digest.hexdigest(), file["sha256"]',
        '_require(file["sha256"], file["sha256"]',
        "tests/pipeline/test_verify.py",
    ),
    Breakage(
        "every row is predicted once: a sum that does not hold publishes nothing",
        "pipeline/predict/output.py",
        "if predicted + by_reason.total() != counts.read:",
        "if False:",
        "tests/pipeline/predict/test_predict.py -k lost_rows",
    ),
    Breakage(
        "every row is predicted once: two predictions of a row publish nothing",
        "pipeline/predict/output.py",
        "if numbers[0] <= last or (np.diff(numbers) <= 0).any():",
        "if False:",
        "tests/pipeline/predict/test_predict.py -k predicted_twice",
    ),
    Breakage(
        "every row is predicted once: answers go to the rows that were asked",
        "pipeline/predict/classifier.py",
        "places = order[start : start + _BATCH_ROWS]",
        "places = np.arange(start, min(start + _BATCH_ROWS, len(texts)))",
        "tests/pipeline/predict/test_predict.py -k once",
    ),
    Breakage(
        "served: a session can run what was exported",
        "trainer/export/saved_model.py",
        "self._weights = [variable.value for variable in model.weights]",
        "self._weights = model",
        "tests/trainer/export/test_serving.py -k cli",
    ),
    Breakage(
        "served: a row's answer is of its last character",
        "trainer/export/inference.py",
        "(number == last_step)",
        "(number <= last_step + 1)",
        "tests/trainer/export/test_export.py -k keras_computes",
    ),
    Breakage(
        "no skew: what is written is what the graph says",
        "pipeline/dataset/encoding.py",
        "default_value=options.num_characters)",
        "default_value=options.num_characters - 1)",
        "tests/pipeline/dataset/test_prepare.py -k plain_python",
    ),
    Breakage(
        "no skew: the export replays the parity rows",
        "trainer/export/parity.py",
        "if got != expected:",
        "if False:",
        "tests/trainer/export/test_export.py",
    ),
)


def main() -> int:
    """Break all promises, one after the other."""
    unnoticed = 0
    for breakage in BREAKAGES:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, "copy")
            shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".venv", ".git", ".*_cache"))
            noticed = break_once(breakage, copy)
        unnoticed += not noticed
        print(f"{'noticed' if noticed else 'UNNOTICED'}: {breakage.promise}", flush=True)
    print(f"{len(BREAKAGES) - unnoticed} of {len(BREAKAGES)} broken promises were noticed")
    return 1 if unnoticed else 0


def break_once(breakage: Breakage, copy: Path) -> bool:
    """Whether a test fails in `copy` once the promise is broken there."""
    path = copy / breakage.file
    text = path.read_text()
    if breakage.old not in text:
        print(f"{breakage.file} no longer holds {breakage.old!r}")
        return False
    path.write_text(text.replace(breakage.old, breakage.new))
    file, _, chosen = breakage.tests.partition(" -k ")
    pytest = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", file]
    ran = subprocess.run(
        [*pytest, *(["-k", chosen] if chosen else [])],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return ran.returncode == 1


if __name__ == "__main__":
    sys.exit(main())
