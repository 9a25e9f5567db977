"""The preparation through its real entry point, on files."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from pipeline.__main__ import main
from pipeline.dataset.graph import build
from pipeline.inspect import main as inspect_main
from tests.support import reference
from tests.support.paths import ROOT
from tests.support.preparation import (
    ALPHABET_SIZE,
    MAX_LENGTH,
    SEED,
    make_rows,
    manifest_of,
    prepare,
    read_split,
    write_csv,
)
from tests.support.prism import find_prism

PRISM = find_prism()
TEN_ROWS = "sequence,label\n" + "".join(f"{c},x\n{c}{c},y\n" for c in "ACDEF")
AMOUNTS = "sequence,label\n" + "".join(f"{'A' * (n % 9)}{n:b},{n / 8}\n" for n in range(300))


@pytest.fixture(scope="module")
def rows() -> list[tuple[str, str]]:
    return make_rows()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> Path:
    folder = tmp_path_factory.mktemp("pipeline")
    write_csv(folder / "rows.csv", rows)
    prepare(folder / "rows.csv", folder / "ids", "--num-shards", "3", "--alphabet-size", "4")
    return folder / "ids"


def test_it_writes_what_plain_python_would(dataset: Path, rows: list[tuple[str, str]]) -> None:
    manifest = manifest_of(dataset)
    expected, counts = reference.prepare(rows, MAX_LENGTH, ALPHABET_SIZE, SEED)
    for split, records in expected.items():
        padded = [
            (ids + [0] * (MAX_LENGTH - len(ids)), length, label) for ids, length, label in records
        ]
        assert read_split(dataset, manifest, split) == padded
    found = manifest["counts"]
    assert {name: found[name] for name in counts} == counts
    assert found["read"] == len(rows) == 653
    assert found["rejected_by_reason"] == {"empty_sequence": 1, "missing_label": 2}


def test_the_manifest_tells_the_truth_about_the_files(dataset: Path) -> None:
    manifest = manifest_of(dataset)
    assert [shard["path"] for shard in manifest["shards"]] == [
        "train/part-00000-of-00003.tfrecord",
        "train/part-00001-of-00003.tfrecord",
        "train/part-00002-of-00003.tfrecord",
        "validation/part-00000-of-00001.tfrecord",
        "test/part-00000-of-00001.tfrecord",
    ]
    for shard in manifest["shards"]:
        data = (dataset / shard["path"]).read_bytes()
        assert len(data) == shard["bytes"]
        assert len(list(tf.data.TFRecordDataset(str(dataset / shard["path"])))) == shard["records"]
    for split in ("train", "validation", "test"):
        found = read_split(dataset, manifest, split)
        assert manifest["counts"][split] == len(found)
        assert manifest["label_counts"][split] == Counter(label for _, _, label in found)
        lengths = Counter(str(length) for _, length, _ in found)
        assert manifest["length_histogram"][split] == lengths
        assert "0" not in lengths


def test_no_staging_is_left_and_the_report_is_there(dataset: Path) -> None:
    assert sorted(path.name for path in dataset.iterdir()) == [
        "dataset.json",
        "index",
        "options.toml",
        "parity.jsonl",
        "rejected",
        "report.html",
        "test",
        "train",
        "transform",
        "validation",
    ]


def test_the_report_shows_what_the_manifest_does_not(
    dataset: Path, rows: list[tuple[str, str]]
) -> None:
    text = (dataset / "report.html").read_text()
    assert manifest_of(dataset)["fingerprint"] in text
    usable = [(sequence, label) for sequence, label in rows if sequence and label.strip()]
    for length, count in Counter(len(sequence) for sequence, _ in usable).items():
        assert f"<title>{length}: {count:,} (" in text
    labels: dict[str, Counter[str]] = defaultdict(Counter)
    for sequence, label in usable:
        labels[sequence[:MAX_LENGTH]][label] += 1
    most = min(labels, key=lambda one: (-len(labels[one]), -labels[one].total(), one))
    total = f"<bdi class=text>{most}</bdi><br>3 labels, {labels[most].total()} rows:\n"
    first = labels[most].most_common(1)[0][1]
    assert re.search(rf"{total}<bdi class=text>[^<]*</bdi> {first} ·", text)
    source = dataset.parent / "rows.csv"
    assert f"{source}</bdi>, row 652</small><br><bdi class=text>,&#34;one&#34;</bdi>" in text


def test_rejected_rows_are_kept_with_their_place(dataset: Path) -> None:
    lines = (dataset / "rejected" / "part-00000.jsonl").read_text().splitlines()
    source = str(dataset.parent / "rows.csv")
    assert [json.loads(line) for line in lines] == [
        {"source": source, "row": 652, "reason": "empty_sequence", "raw": ',"one"'},
        {"source": source, "row": 653, "reason": "missing_label", "raw": 'AC,""'},
        {"source": source, "row": 654, "reason": "missing_label", "raw": 'AC," "'},
    ]


def test_parity_rows_are_raw_text_with_the_ids_of_a_record(
    dataset: Path, rows: list[tuple[str, str]]
) -> None:
    manifest = manifest_of(dataset)
    stored = [
        record
        for split in ("train", "validation", "test")
        for record in read_split(dataset, manifest, split)
    ]
    parity = [json.loads(line) for line in (dataset / "parity.jsonl").read_text().splitlines()]
    assert len(parity) > 100
    assert any(len(row["sequence"]) > MAX_LENGTH for row in parity)
    for row in parity:
        assert (row["sequence"], row["label"]) in rows
        assert (row["ids"], row["length"], row["label"]) in stored
        assert manifest["labels"][row["label_id"]] == row["label"]


@pytest.mark.parametrize(
    ("files", "mode"),
    [
        (1, "in_memory"),
        (7, "in_memory"),
        pytest.param(7, "multi_processing", marks=pytest.mark.engine),
    ],
)
def test_the_same_bytes_from_other_files_orders_and_workers(
    tmp_path: Path, dataset: Path, rows: list[tuple[str, str]], files: int, mode: str
) -> None:
    shuffled = random.Random(files).sample(rows, len(rows))
    for number in range(files):
        name = f"rows-{number}.csv" + (".gz" if number % 2 else "")
        write_csv(tmp_path / name, shuffled[number::files])
    manifest = prepare(
        tmp_path / "rows-*",
        tmp_path / "out",
        "--num-shards",
        "3",
        "--alphabet-size",
        "4",
        "--direct_num_workers",
        "2",
        "--direct_running_mode",
        mode,
    )
    expected = manifest_of(dataset)
    assert manifest["shards"] == expected["shards"]
    assert manifest["fingerprint"] == expected["fingerprint"]
    assert manifest["counts"] == expected["counts"]


@pytest.mark.engine
@pytest.mark.skipif(PRISM is None, reason="no prism: make prism-test builds it")
def test_the_same_bytes_from_prism(
    tmp_path: Path, dataset: Path, rows: list[tuple[str, str]]
) -> None:
    write_csv(tmp_path / "rows.csv", rows)
    flags = ("--runner=PrismRunner", f"--prism_location={PRISM}")
    manifest = prepare(
        tmp_path / "rows.csv", tmp_path / "out", "--num-shards", "3", "--alphabet-size", "4", *flags
    )
    assert manifest["shards"] == manifest_of(dataset)["shards"]


def test_one_hot_gzip_and_a_given_alphabet(tmp_path: Path) -> None:
    texts = ["AC", "C?A", "D", *("A" * n for n in range(1, 8)), "CC"]
    write_csv(tmp_path / "rows.csv", [(text, label) for text in texts for label in "xy"])
    manifest = prepare(
        tmp_path / "rows.csv",
        tmp_path / "out",
        "--encoding",
        "one_hot",
        "--compression",
        "gzip",
        "--alphabet",
        "CA",
        "--split",
        "train=1",
    )
    assert manifest["alphabet"] == ["C", "A"]
    assert manifest["counts"]["unknown_characters"] == 4
    assert manifest["counts"]["ambiguous"] == 10
    assert manifest["shards"][0]["path"] == "train/part-00000-of-00001.tfrecord.gz"
    none, c, a = [0.0, 0.0], [1.0, 0.0], [0.0, 1.0]
    found = read_split(tmp_path / "out", manifest, "train")
    expected = [
        ([a, c, none, none, none, none], 2),
        ([c, none, a, none, none, none], 3),
        ([none, none, none, none, none, none], 1),
        *(([a] * n + [none] * (6 - n), n) for n in range(1, 7)),
        ([c, c, none, none, none, none], 2),
    ]
    assert sorted(found, key=str) == sorted(
        [(sequence, length, label) for sequence, length in expected for label in "xy"], key=str
    )


def test_a_label_seen_in_no_train_row_is_rejected(tmp_path: Path) -> None:
    rows = [(f"{'AC' * (n % 3)}{n}", "xy"[n % 2]) for n in range(100)]
    rows += [(f"rare{n}", f"rare{n}") for n in range(10)]
    write_csv(tmp_path / "rows.csv", rows)
    manifest = prepare(tmp_path / "rows.csv", tmp_path / "out", "--split", "train=0.5,test=0.5")
    unseen = manifest["counts"]["rejected_by_reason"]["unseen_label"]
    lines = (tmp_path / "out" / "rejected" / "part-00000.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    assert 0 < unseen == len(found) < 10
    for row in found:
        label = rows[row["row"] - 2][1]
        assert label.startswith("rare")
        assert label not in manifest["labels"]


def test_the_example_of_the_readme_has_each_label_in_each_split(tmp_path: Path) -> None:
    example = (ROOT / "README.md").read_text().partition("```csv\n")[2].partition("```")[0]
    (tmp_path / "mine.csv").write_text(example)
    argv = ["--input", str(tmp_path / "mine.csv"), "--output", str(tmp_path / "out")]
    assert main([*argv, "--max-length", "auto", "--alphabet-size", "auto"]) == 0
    assert manifest_of(tmp_path / "out")["label_counts"] == {
        "train": {"alpha": 4, "beta": 4},
        "validation": {"alpha": 1, "beta": 1},
        "test": {"alpha": 1, "beta": 1},
    }


def make_long_tail() -> list[tuple[str, str]]:
    """Return 90 rows of each of two labels, one of which is called other, and 12 rare labels."""
    letters = [f"{n:b}".replace("0", "A").replace("1", "C") for n in range(1, 200)]
    rows = [(text, ("x", "other")[n % 2]) for n, text in enumerate(letters[:180])]
    return rows + [(f"{letters[n]}D", f"rare{n % 12}") for n in range(18)]


def test_rare_labels_are_joined_as_if_the_input_had_named_them_so(tmp_path: Path) -> None:
    rows = make_long_tail()
    joined = [(text, "other" if label.startswith("rare") else label) for text, label in rows]
    write_csv(tmp_path / "rows.csv", rows)
    write_csv(tmp_path / "joined.csv", joined)
    rare = ("--min-label-rows", "3", "--rare-label-as", "other")
    found = prepare(tmp_path / "rows.csv", tmp_path / "out", *rare)
    expected = prepare(tmp_path / "joined.csv", tmp_path / "expected")
    assert found["fingerprint"] == expected["fingerprint"]
    assert found["counts"] == expected["counts"]
    parity = [(tmp_path / name / "parity.jsonl").read_text() for name in ("out", "expected")]
    assert parity[0] == parity[1]


def test_rare_labels_are_rejected_and_do_not_count_as_a_fault_of_the_input(tmp_path: Path) -> None:
    rows = make_long_tail()
    write_csv(tmp_path / "rows.csv", rows)
    write_csv(tmp_path / "frequent.csv", [row for row in rows if not row[1].startswith("rare")])
    strict = ("--max-rejected-fraction", "0")
    found = prepare(tmp_path / "rows.csv", tmp_path / "out", *strict, "--min-label-rows", "3")
    expected = prepare(tmp_path / "frequent.csv", tmp_path / "expected", *strict)
    assert found["fingerprint"] == expected["fingerprint"]
    assert found["counts"]["rejected_by_reason"] == {"rare_label": 18}
    lines = (tmp_path / "out" / "rejected" / "part-00000.jsonl").read_text().splitlines()
    assert [json.loads(line)["row"] for line in lines] == list(range(182, 200))
    assert json.loads(lines[1])["raw"] == "CAD,rare1"


def test_the_summary_names_labels_that_cannot_be_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [*make_long_tail()[:180], ("DDD", "once")]
    write_csv(tmp_path / "rows.csv", rows)
    manifest = prepare(tmp_path / "rows.csv", tmp_path / "out")
    out = capsys.readouterr().out.splitlines()
    assert out[-3:] == [f"note: {note}" for note in manifest["notes"]]
    assert out[-1] == "note: labels without a row in the test split: 1 of 3: 'once'"


def test_rows_of_labels_without_a_train_row_are_too_many(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_csv(tmp_path / "rows.csv", [(text, f"id of {text}") for text, _ in make_long_tail()])
    argv = ["--input", str(tmp_path / "rows.csv"), "--output", str(tmp_path / "out")]
    assert main(argv) == 1
    error = capsys.readouterr().err
    assert re.search(r"\n  \d+ unseen_label .*\n    'id of \w+' \(1\), .* and \d+ more\n", error)
    assert "--min-label-rows N rejects" in error
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_overwrite_replaces_the_whole_dataset_or_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_csv(tmp_path / "rows.csv", [(text, label) for text in "ACDEFGHIKL" for label in "xy"])
    flags = ["--split", "train=1", "--num-shards"]
    prepare(tmp_path / "rows.csv", tmp_path / "out", *flags, "3")
    argv = ["--input", str(tmp_path / "*.csv"), "--output", str(tmp_path / "out"), *flags, "2"]
    assert main(argv) == 1
    assert "already holds a dataset" in capsys.readouterr().err
    write_csv(tmp_path / "more.csv", [("", "x")])
    assert main([*argv, "--overwrite"]) == 1
    assert "1 of 21 rows are rejected" in capsys.readouterr().err
    assert len(manifest_of(tmp_path / "out")["shards"]) == 3
    (tmp_path / "more.csv").unlink()
    assert main([*argv, "--overwrite"]) == 0
    assert [path.name for path in sorted((tmp_path / "out" / "train").iterdir())] == [
        "part-00000-of-00002.tfrecord",
        "part-00001-of-00002.tfrecord",
    ]


@pytest.mark.parametrize(
    ("text", "flags", "status", "said"),
    [
        ("sequence,label\n", [], 1, "nothing but headers"),
        ("sequence,label\nA,x\nC,y\nA,y\n", [], 1, "2 distinct sequences in 3 rows"),
        (TEN_ROWS.replace("y", "x"), [], 1, "only the label 'x'"),
        (
            TEN_ROWS + "M,z\n",
            ["--max-labels", "2", "--split", "train=1"],
            1,
            "3 different labels, more than --max-labels 2",
        ),
        (AMOUNTS, [], 1, "    all labels are numbers, and each is a class of its own, as this is"),
        (
            AMOUNTS,
            ["--max-labels", "99", "--max-rejected-fraction", "1"],
            1,
            "the right --label-column? (all labels are numbers, and each is a class of its own",
        ),
        (TEN_ROWS, ["--split", "train=0.999,test=0.001"], 1, "no row falls into the test split"),
        ("sequence,label\nA,x\n,x\n", [], 1, "1 of 2 rows are rejected"),
        ("sequence,label\n,x\n", ["--max-rejected-fraction", "1"], 1, "0 distinct sequences"),
        (
            TEN_ROWS,
            ["--alphabet", "acdeF", "--split", "train=1"],
            3,
            "8 of 10 records have no character of the alphabet; the most frequent characters "
            "outside of it are 'ACDE': is --alphabet right?",
        ),
        ("sequence,label\nA,x\n", ["--no_such_flag"], 2, "unknown flag --no_such_flag"),
        ("sequence,label\nA,x\n", ["--direct_running_mode=multi_threading"], 2, "loses rows"),
        ("sequence,label\nA,x\n", ["--label-column", "y"], 1, "no column 'y'"),
    ],
)
def test_bad_input_gets_one_sentence(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    text: str,
    flags: list[str],
    status: int,
    said: str,
) -> None:
    (tmp_path / "rows.csv").write_text(text)
    argv = ["--input", str(tmp_path / "rows.csv"), "--output", str(tmp_path / "out"), *flags]
    assert main(argv) == status
    error = capfd.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert not (tmp_path / "out" / "dataset.json").exists()
    assert not (tmp_path / "out" / ".staging").exists()


@pytest.mark.parametrize(
    ("endpoint", "status", "said"),
    [
        ("127.0.0.1:1", 1, "error: --job_endpoint 127.0.0.1:1: no job server answers: "),
        ("127.0.0.1", 2, "error: --job_endpoint: got '127.0.0.1', expected HOST:PORT"),
    ],
)
def test_a_job_server_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], endpoint: str, status: int, said: str
) -> None:
    argv = ["--input", "rows.csv", "--output", str(tmp_path / "out")]
    assert main([*argv, "--runner=PortableRunner", "--job_endpoint", endpoint]) == status
    assert capsys.readouterr().err.startswith(said)


def test_inspect_turns_records_back_into_text(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inspect_main([str(dataset), "--split", "test", "--count", "2"]) == 0
    out = capsys.readouterr().out
    assert f"{'read':<24}{653:>14,}" in out
    (first, second) = out.splitlines()[-2:]
    manifest = manifest_of(dataset)
    for line, (ids, length, label) in zip(
        (first, second), read_split(dataset, manifest, "test"), strict=False
    ):
        alphabet = dict(enumerate(manifest["alphabet"], start=1))
        text = "".join(alphabet.get(i, "�") for i in ids[:length])
        assert line.split() == [text, str(length), *label.split()]


def test_inspect_shows_the_records_of_one_label(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inspect_main([str(dataset), "--label", "drei,é", "--count", "1000"]) == 0
    found = capsys.readouterr().out.partition("train:\n")[2].splitlines()
    manifest = manifest_of(dataset)
    assert len(found) == manifest["label_counts"]["train"]["drei,é"]
    assert {line.split()[-1] for line in found} == {"drei,é"}
    assert inspect_main([str(dataset), "--label", "vier"]) == 2
    assert "--label: got 'vier', expected one of " in capsys.readouterr().err


def test_inspect_of_something_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect_main([str(tmp_path)]) == 1
    assert "holds no dataset.json" in capsys.readouterr().err


def test_an_input_that_changes_while_it_is_read_is_never_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(TEN_ROWS)

    def change_and_build(*args: Any) -> Any:
        path.write_text(TEN_ROWS.replace("A", "G"))
        return build(*args)

    monkeypatch.setattr("pipeline.dataset.run.build", change_and_build)
    assert main(["--input", str(path), "--output", str(tmp_path / "out")]) == 1
    assert f"error: {path}: changed while it was read; nothing was pub" in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir())


def test_an_input_in_the_output_directory_is_refused_and_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, output = tmp_path / "out" / "rows.csv", tmp_path / "out"
    output.mkdir()
    path.write_text(TEN_ROWS)
    assert main(["--input", str(path), "--output", str(output), "--overwrite"]) == 2
    assert f"error: --input {path} lies in --output {output}, " in capsys.readouterr().err
    assert list(output.iterdir()) == [path]


def test_a_dataset_made_in_another_directory_has_the_same_bytes(
    rows: list[tuple[str, str]], tmp_path: Path
) -> None:
    """Also as a later one of a process, which has traced other functions by then."""
    write_csv(tmp_path / "rows.csv", rows)
    outputs = [tmp_path / "one", tmp_path / "below" / "another"]
    for output in outputs:
        prepare(tmp_path / "rows.csv", output)
    one, another = (
        {
            str(path.relative_to(output)): path.read_bytes()
            for path in output.rglob("*")
            if path.is_file()
        }
        for output in outputs
    )
    assert (
        one.keys()
        == another.keys()
        >= {
            "dataset.json",
            "parity.jsonl",
            "report.html",
            "train/part-00000-of-00001.tfrecord",
            "transform/transform_fn/saved_model.pb",
            "transform/transform_fn/variables/variables.index",
        }
    )
    assert [name for name in one if one[name] != another[name]] == []
    for name, data in one.items():
        assert b".staging" not in data, name
        assert str(tmp_path / "one").encode() not in data, name


def test_the_graph_of_another_process_has_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(TEN_ROWS)
    digests = []
    for name, seed in (("one", "1"), ("two", "2")):
        flags = ["--input", "rows.csv", "--output", name, "--split", "train=1"]
        subprocess.run(
            [sys.executable, "-m", "pipeline", *flags],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
        )
        manifest = manifest_of(tmp_path / name)
        digests.append({file["path"]: file["sha256"] for file in manifest["files"]})
    assert digests[0] == digests[1]
    assert "transform/transform_fn/saved_model.pb" in digests[0]
