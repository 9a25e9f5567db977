"""Input that would break a careless reader, through the real entry point."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.support import reference
from tests.support.paths import ROOT
from tests.support.preparation import (
    MAX_LENGTH,
    SEED,
    manifest_of,
    prepare,
    read_split,
    write_csv,
)

# None of these ends a line, and each is one character.
UNUSUAL = "\0\x0b\x0c\x1c\x85\u2028\u2029\u200f\u05d0\u05d1\U0001f600\U0010ffff\ufffd"


def run(*argv: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """`python -m pipeline` as a user runs it, and the most memory it took, in MB.

    VmHWM and not ru_maxrss: that one survives exec, and so starts at what pytest itself has held.
    """
    script = (
        "import sys\n"
        "from pipeline.__main__ import main\n"
        "status = main(sys.argv[1:])\n"
        "(peak,) = (line for line in open('/proc/self/status') if line.startswith('VmHWM:'))\n"
        "print(peak.split()[1])\n"
        "sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *argv],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done, int(done.stdout.split()[-1]) / 1e3


def rejected_rows(dataset: Path) -> list[dict[str, Any]]:
    lines = (dataset / "rejected" / "part-00000.jsonl").read_bytes().split(b"\n")[:-1]
    return [json.loads(line) for line in lines]


def test_the_same_rows_as_text_and_as_csv_make_the_same_dataset(tmp_path: Path) -> None:
    rng = random.Random(1)
    rows = [
        ("".join(rng.choices('AACé😀"\t ', k=rng.randint(1, 9))), label)
        for label in ("alpha", "drei, é")
        for _ in range(200)
    ]
    lines = ["sequence,label", *(",".join(_quoted(value) for value in row) for row in rows)]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    for number, (sequences, label) in enumerate(
        ([s for s, of in rows if of == label][half::2], label)
        for label in ("alpha", "drei, é")
        for half in (0, 1)
    ):
        folder = tmp_path / "text" / label
        folder.mkdir(parents=True, exist_ok=True)
        data = "\r\n\n".join(sequences).encode()
        if number % 2:
            (folder / "b.txt.gz").write_bytes(gzip.compress(data))
        else:
            (folder / "a.txt").write_bytes(b"\xef\xbb\xbf" + data)
    of_csv = prepare(tmp_path / "rows.csv", tmp_path / "of_csv")
    of_text = prepare(
        tmp_path / "text" / "**.txt*", tmp_path / "of_text", "--label-from", "directory"
    )
    assert of_text["labels"] == of_csv["labels"]
    assert of_text["counts"] == of_csv["counts"]
    assert of_text["fingerprint"] == of_csv["fingerprint"]


def test_the_same_rows_as_fasta_and_as_csv_make_the_same_dataset(tmp_path: Path) -> None:
    rng = random.Random(3)
    rows = [
        ("".join(rng.choices("ACDE", k=rng.randint(1, 9))), rng.choice("xy")) for _ in range(300)
    ]
    write_csv(tmp_path / "rows.csv", rows)
    records = (f">id{n}|{label}\n{text[:4]}\n{text[4:]}\n" for n, (text, label) in enumerate(rows))
    (tmp_path / "rows.faa.gz").write_bytes(gzip.compress("".join(records).encode()))
    of_csv = prepare(tmp_path / "rows.csv", tmp_path / "of_csv")
    of_fasta = prepare(tmp_path / "rows.faa.gz", tmp_path / "of_fasta")
    assert of_fasta["labels"] == of_csv["labels"] == ["x", "y"]
    assert of_fasta["fingerprint"] == of_csv["fingerprint"]


def _quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


def test_unusual_characters_are_characters_like_any_other(tmp_path: Path) -> None:
    rng = random.Random(2)
    labels = ["plain", " spaces ", *(f"x{character}y" for character in UNUSUAL)]
    rows = [
        ("".join(rng.choices("AC" + UNUSUAL, k=rng.randint(1, 9))), rng.choice(labels))
        for _ in range(600)
    ]
    rows.append(("A" * 50_000, "plain"))
    write_csv(tmp_path / "rows.csv", rows)
    manifest = prepare(tmp_path / "rows.csv", tmp_path / "out", "--alphabet-size", "9")
    expected, _ = reference.prepare(rows, MAX_LENGTH, 9, SEED)
    for split, records in expected.items():
        padded = [
            (ids + [0] * (MAX_LENGTH - len(ids)), length, label) for ids, length, label in records
        ]
        assert read_split(tmp_path / "out", manifest, split) == padded
    assert sorted(manifest["labels"]) == sorted(label.strip() for label in labels)


MB_100 = 100 << 20


def write_lines(path: Path, lines: Iterable[bytes]) -> None:
    with path.open("wb") as file:
        file.writelines(lines)


def test_lines_of_100_mb_cost_memory_in_measure_and_no_other_row(tmp_path: Path) -> None:
    """One is cut like any long sequence, one has broken quoting; 1,000 rows stand around them."""
    few = [b"AC%d,%s\n" % (n, b"xy"[n % 2 :][:1]) for n in range(1000)]
    huge = [b"G" * MB_100 + b",x\n", b'"' + b"T" * MB_100 + b",x\n"]
    write_lines(tmp_path / "rows.csv", [b"sequence,label\n", *few[:500], *huge, *few[500:]])
    done, megabytes = run("--input", str(tmp_path / "rows.csv"), "--output", str(tmp_path / "out"))
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    manifest = manifest_of(tmp_path / "out")
    counts = manifest["counts"]
    assert (counts["read"], counts["truncated"], counts["duplicates"]) == (1002, 1, 0)
    assert counts["rejected_by_reason"] == {"broken_quoting": 1}
    (row,) = rejected_rows(tmp_path / "out")
    assert (row["row"], row["reason"]) == (503, "broken_quoting")
    assert row["raw"].endswith("T… (cut: 104,857,603 bytes in all)")
    sizes = [file.stat().st_size for file in (tmp_path / "out").rglob("*") if file.is_file()]
    assert sum(sizes) < 2e6
    # TensorFlow and Beam alone take 800.
    assert megabytes < 2000


def test_a_million_labels_are_refused_before_they_are_learned(tmp_path: Path) -> None:
    write_lines(
        tmp_path / "rows.csv",
        [b"label,sequence\n", *(b"id%d,AC%d\n" % (n, n % 10) for n in range(1_000_000))],
    )
    done, megabytes = run(
        "--input",
        str(tmp_path / "rows.csv"),
        "--output",
        str(tmp_path / "out"),
        "--split",
        "train=1",
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "error: the train rows have 1,000,000 different labels, more than --max-labels 10,000 "
        "allows; is 'label' the right --label-column?"
    )
    assert not (tmp_path / "out" / "dataset.json").exists()
    assert megabytes < 1300
