"""`--exclude`: a training as if rows had not been prepared, by the commands themselves."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest

from charseq.models.saved_model import DATASET_ASSET
from pipeline.__main__ import main as prepare_main
from tests.support.datasets import rows_of, write_dataset
from tests.support.killed import Killed
from tests.support.preparation import make_rows, manifest_of, prepare, write_csv
from tests.support.stores import files_below, s3_server
from trainer.__main__ import main
from trainer.data.batches import Batches
from trainer.data.dataset import open_datasets, read_dataset
from trainer.data.exclusion import exclude_rows
from trainer.evaluate.__main__ import main as evaluate
from trainer.promote.__main__ import main as promote
from trainer.training.progress import Progress

MAX_LENGTH = 6
PREPARE = ["--alphabet", "acdeé", "--num-shards", "3", "--lowercase"]
FLAGS = "--units 4,3 --epochs 2 --batch-size 16 --jit-compile off --steps-per-execution 2"
NGRAMS = "--ngram-buckets 64 --ensemble 1"
PLAIN = "--representation embedding --embedding-dim 2 --checkpoint-every 3"

Pair = tuple[str, str]


class Prepared(NamedTuple):
    """Datasets with and without some rows, and the file that names these."""

    whole: Path
    without: Path
    file: Path
    rows: int


def make_labelled() -> list[Pair]:
    """Return rows whose labels are in the same order of frequency without a few of them."""
    labels = itertools.cycle(["one", "two", "one", "drei,é", "two", "one"])
    return [(sequence, next(labels)) for sequence, _ in make_rows(1500) if sequence]


def cut(sequence: str) -> str:
    return sequence[:MAX_LENGTH].lower()


@pytest.fixture(scope="module", name="data")
def _data(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("data")
    rows = make_labelled()
    # Of each of some sequences another writing; long ones as they are before they are cut.
    gone = [sequence for sequence, _ in rows[::40]]
    lines = ["", *(f" {sequence.upper()}" for sequence in gone), "\t", "CCCCCCCCC", "no row"]
    file = folder / "gone.txt"
    file.write_text("\r\n".join(lines), encoding="utf-8")
    removed = {cut(sequence) for sequence in [*gone, "CCCCCCCCC"]}
    left = [row for row in rows if cut(row[0]) not in removed]
    for name, kept in (("whole", rows), ("without", left)):
        write_csv(folder / f"{name}.csv", kept)
        prepare(folder / f"{name}.csv", folder / name, *PREPARE)
    counts = [manifest_of(folder / name)["counts"] for name in ("whole", "without")]
    written = [sum(each[name] for name in ("train", "validation", "test")) for each in counts]
    return Prepared(folder / "whole", folder / "without", file, written[0] - written[1])


def train(data: Path, output: Path, *more: str, flags: str = PLAIN) -> int:
    given = ["--data", str(data), "--output", str(output), *FLAGS.split(), *flags.split()]
    return main([*given, *more])


def weights(run: Path) -> list[Any]:
    model = keras.saving.load_model(run / "model.keras")
    return model.get_weights()  # type: ignore[no-any-return]


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.mark.parametrize("flags", [NGRAMS, PLAIN, f"{PLAIN} --cache memory"])
def test_the_weights_are_those_of_a_dataset_prepared_without_the_rows(
    data: Prepared, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: str
) -> None:
    assert train(data.without, tmp_path / "without", flags=flags) == 0
    capsys.readouterr()
    assert train(data.whole, tmp_path / "run", "--exclude", str(data.file), flags=flags) == 0
    assert f"excluded {data.rows} rows of " in capsys.readouterr().err
    assert data.rows > 50
    for got, expected in zip(weights(tmp_path / "run"), weights(tmp_path / "without"), strict=True):
        np.testing.assert_array_equal(got, expected)
    metrics = [read_json(tmp_path / name / "metrics.json") for name in ("run", "without")]
    losses = [[epoch["validation"] for epoch in each["epochs"]] for each in metrics]
    assert losses[0] == losses[1]


@pytest.fixture(scope="module", name="run")
def _run(data: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("runs") / "run"
    assert train(data.whole, output, "--exclude", str(data.file)) == 0
    return output


def test_run_json_and_options_toml_name_the_file(data: Prepared, run: Path) -> None:
    content = read_json(run / "run.json")
    digest = hashlib.sha256(data.file.read_bytes()).hexdigest()
    assert content["excluded"]["sha256"] == digest
    assert content["excluded"]["rows"] == data.rows
    assert content["options"]["exclude"] == str(data.file)
    assert content["dataset"]["fingerprint"] == manifest_of(data.whole)["fingerprint"]
    assert f'exclude = "{data.file}"' in (run / "options.toml").read_text()


def test_a_run_is_done_with_the_same_content_and_refused_with_another(
    data: Prepared, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = tmp_path / "moved.txt"
    shutil.copy(data.file, moved)
    assert train(data.whole, run, "--exclude", str(moved)) == 0
    assert "already trained on this dataset with these options" in capsys.readouterr().out
    other = tmp_path / "other.txt"
    other.write_text("CCCC\n")
    digests = [hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in (data.file, other)]
    assert train(data.whole, run, "--exclude", str(other)) == 1
    assert (
        f"but not this one: an --exclude file of SHA-256 {digests[0]}…, now an --exclude file of "
        f"SHA-256 {digests[1]}…"
    ) in capsys.readouterr().err
    assert train(data.whole, run) == 1
    assert f"{digests[0]}…, now no --exclude" in capsys.readouterr().err


def test_a_run_resumes_only_with_the_same_content(
    data: Prepared,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    calls = itertools.count(1)

    def kill(*_: Any) -> None:
        if next(calls) == 8:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "update", kill)
        with pytest.raises(Killed):
            train(data.whole, tmp_path / "run", "--exclude", str(data.file))
    capsys.readouterr()
    assert train(data.whole, tmp_path / "run") == 1
    digest = hashlib.sha256(data.file.read_bytes()).hexdigest()
    assert (
        f"holds an unfinished run with an --exclude file of SHA-256 {digest[:16]}…, now no "
        "--exclude: give it the same again"
    ) in capsys.readouterr().err
    again = ("--exclude", str(data.file), "--resume", "required")
    assert train(data.whole, tmp_path / "run", *again) == 0
    for got, expected in zip(weights(tmp_path / "run"), weights(run), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_an_evaluation_leaves_the_rows_out(
    data: Prepared, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ["--model", str(run), "--split", "test"]
    found = []
    for flags in (["--data", str(data.without)], ["--data", str(data.whole)]):
        more = ["--exclude", str(data.file)] if str(data.whole) in flags else []
        assert evaluate([*model, *flags, *more]) == 0
        evaluation = read_json(run / "evaluation-test.json")
        found.append({name: each for name, each in evaluation.items() if name != "fingerprint"})
    assert f"excluded {data.rows} rows of" in capsys.readouterr().err
    assert found[0] == found[1]
    assert found[0]["rows"] < manifest_of(data.whole)["counts"]["test"]


def test_a_promotion_leaves_the_rows_out(
    data: Prepared, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = ["--registry", str(tmp_path / "registry"), "--allow-trivial"]
    assert promote([*registry, "--candidate", str(run), "--exclude", str(data.file)]) == 0
    out, err = capsys.readouterr()
    assert f"excluded {data.rows} rows of" in err
    entry = read_json(tmp_path / "registry/1/assets.extra/entry.json")
    digest = hashlib.sha256(data.file.read_bytes()).hexdigest()
    assert entry["evaluation"]["excluded"]["sha256"] == digest
    rows = manifest_of(data.without)["counts"]["test"]
    assert entry["evaluation"]["candidate"]["rows"] == rows
    assert promote(["--registry", str(tmp_path / "registry"), "--explain", "1"]) == 0
    out, _ = capsys.readouterr()
    assert (
        f"without {data.rows} rows, of the sequences in the --exclude file of sha256:{digest}"
        in out
    )
    assert f", without the rows of the --exclude file of sha256:{digest}" in out
    # Another model on the same rows: how many of them the current one was trained on is known.
    assert train(data.whole, tmp_path / "other", "--seed", "1") == 0
    capsys.readouterr()
    other = [*registry, "--candidate", str(tmp_path / "other"), "--exclude", str(data.file)]
    assert promote([*other, "--allow-fewer-labels"]) == 0
    out, _ = capsys.readouterr()
    assert f"was trained on the sequences of 0 of the {rows} rows of test" in out


def read_rows(data: list[str], file: Path, split: str = "train", fold: int | None = None) -> Any:
    with open_datasets(data) as whole:
        dataset = exclude_rows(whole, str(file)).of_fold(fold)
        assert dataset.excluded
        rows = rows_of(Batches(dataset, "embedding", 16).evaluation(split))
        assert (
            len(rows) == dataset.manifest.records(split) == getattr(dataset.manifest.counts, split)
        )
        assert sum(dataset.manifest.label_counts[split].values()) == len(rows)
        histogram = {str(length): 0 for _, length, _ in rows}
        for _, length, _ in rows:
            histogram[str(length)] += 1
        assert dataset.manifest.length_histogram[split] == histogram
        return rows


@pytest.fixture(scope="module", name="added")
def _added(data: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of two rows that are excluded and some others, which adds to the whole one."""
    folder = tmp_path_factory.mktemp("added")
    rows = [("cé" + end, "one") for end in ("dddd", "ddde", "ddee", "deee", "eeee", "eded")]
    write_csv(folder / "new.csv", [*rows, ("CCCCCC", "new"), ("no row", "new")])
    paths = ["--input", str(folder / "new.csv"), "--output", str(folder / "added")]
    assert prepare_main([*paths, "--base", str(data.whole), "--max-rejected-fraction", "0.5"]) == 0
    return folder / "added"


def test_rows_of_a_chain_are_left_out(data: Prepared, added: Path, tmp_path: Path) -> None:
    chain = [str(added), str(data.whole)]
    nothing = tmp_path / "nothing.txt"
    nothing.write_text("\n")
    both = {
        file: sum(len(read_rows(chain, file, split)) for split in ("train", "validation", "test"))
        for file in (nothing, data.file)
    }
    assert both[nothing] - both[data.file] == data.rows + 2
    assert (
        train(data.whole, tmp_path / "run", "--data", str(added), "--exclude", str(data.file)) == 0
    )
    content = read_json(tmp_path / "run" / "run.json")
    assert content["excluded"]["rows"] == data.rows + 2
    # The model carries the description of the whole chain, whatever was left out.
    exported = read_json(tmp_path / "run" / "saved_model" / DATASET_ASSET)
    assert exported["counts"]["train"] == sum(
        manifest_of(each)["counts"]["train"] for each in (data.whole, added)
    )


def test_a_dataset_in_an_object_store_is_read_without_the_rows(
    data: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3_server() as bucket:
        monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.url)
        for name, content in files_below(data.whole).items():
            bucket.put(f"some/{name}", content)
        rows = read_rows(["s3://bucket/some"], data.file)
    assert rows == read_rows([str(data.whole)], data.file)
    assert sorted(rows) == sorted(
        rows_of(Batches(read_dataset(str(data.without)), "embedding", 16).evaluation("train"))
    )


def test_a_fold_is_read_without_the_rows(data: Prepared, tmp_path: Path) -> None:
    rows = [row for row in make_labelled() if row[0]]
    write_csv(tmp_path / "rows.csv", rows)
    prepare(tmp_path / "rows.csv", tmp_path / "folds", "--folds", "3", "--lowercase")
    found = [
        len(read_rows([str(tmp_path / "folds")], data.file, split, fold=1))
        for split in ("train", "validation", "test")
    ]
    assert sum(found) == manifest_of(tmp_path / "folds")["counts"]["train"] - data.rows


def refused(data: Path, file: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert train(data, folder / "run", "--exclude", str(file)) == 1
    assert not (folder / "run").exists()
    return capsys.readouterr().err


def test_a_dataset_without_an_index_is_refused(
    data: Prepared, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dataset(tmp_path / "old", {"train": [("A", "x"), ("B", "y")]})
    assert refused(tmp_path / "old", data.file, tmp_path, capsys) == (
        f"error: --exclude: {tmp_path}/old was prepared by a version that kept no index: prepare "
        "it again\n"
    )


def test_records_with_weights_are_refused(
    data: Prepared, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dataset(tmp_path / "weighted", {"train": [("A", "x")]}, weight_of=len)
    assert refused(tmp_path / "weighted", data.file, tmp_path, capsys) == (
        f"error: --exclude: the rows of {tmp_path}/weighted have weights, which its index does not "
        "hold: prepare it again without these rows\n"
    )


def test_a_changed_or_missing_index_is_refused(
    data: Prepared, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(data.whole, tmp_path / "whole")
    index = tmp_path / "whole" / "index" / "train" / "part-00001-of-00003.npy"
    content = bytearray(index.read_bytes())
    content[-1] ^= 1
    index.write_bytes(content)
    assert refused(tmp_path / "whole", data.file, tmp_path, capsys) == (
        f"error: {index}: changed after the preparation: its SHA-256 is not that in dataset.json; "
        "prepare the dataset again\n"
    )
    index.unlink()
    assert refused(tmp_path / "whole", data.file, tmp_path, capsys) == (
        f"error: {index}: no such file, but dataset.json names it\n"
    )


def test_a_split_must_keep_a_row(
    data: Prepared, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    every = tmp_path / "every.txt"
    every.write_text("\n".join(sequence for sequence, _ in make_labelled()), encoding="utf-8")
    assert refused(data.whole, every, tmp_path, capsys) == (
        f"error: --exclude leaves {data.whole} without a row in its split 'train'\n"
    )


def test_a_missing_file_is_refused(
    data: Prepared, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(data.whole, tmp_path / "none", tmp_path, capsys) == (
        f"error: --exclude {tmp_path}/none: No such file or directory\n"
    )
