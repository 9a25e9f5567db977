"""Batch prediction through its real entry point, on files."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from charseq.errors import DataError, MismatchError
from charseq.text.normalization import Normalization
from pipeline.compare.rows import RowCounts
from pipeline.formats.head import Header
from pipeline.output.layout import PREDICTIONS
from pipeline.output.staging import mark, new_staging, remove_runs
from pipeline.predict import dofns
from pipeline.predict.__main__ import main
from pipeline.predict.characters import (
    CharacterCounts,
    add_characters,
    check_characters,
    count_characters,
)
from pipeline.predict.classifier import load_classifier
from pipeline.predict.columns import OutputColumns
from pipeline.predict.evaluation import no_rows
from pipeline.predict.formats import to_json_lines
from pipeline.predict.graph import build
from pipeline.predict.model import Model, read_model
from pipeline.predict.options import PredictOptions
from pipeline.predict.predicted_files import (
    PREDICTED,
    PredictedRows,
    to_output,
    write_predictions,
)
from pipeline.predict.publish import PreparedPredictions, publish_predictions
from pipeline.rows import parts
from pipeline.rows.counts import ReadCounts
from pipeline.rows.packing import pack_rows
from pipeline.rows.parts import Part
from pipeline.rows.rejected_files import RejectedFile
from pipeline.rows.sources import Source
from tests.support.hostile_model import make_hostile
from tests.support.killed import Killed, kill_at_file_change
from tests.support.manifests import TRAIN, toy_manifest
from tests.support.paths import ROOT
from tests.support.toy_model import FINGERPRINT, answer, save_toy_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_toy_model(tmp_path_factory.mktemp("model") / "7")


def predict(model: Path, input_glob: Path, output: Path, *flags: str) -> dict[str, Any]:
    argv = ["--model", str(model), "--input", str(input_glob), "--output", str(output)]
    assert main([*argv, "--max-rejected-fraction", "0.9", *flags]) == 0
    return json.loads((output / "predictions.json").read_text())  # type: ignore[no-any-return]


def read_lines(output: Path, kind: str) -> list[dict[str, Any]]:
    lines = [
        line
        for path in sorted((output / kind).iterdir())
        for line in path.read_bytes().split(b"\n")[:-1]
    ]
    return [json.loads(line) for line in lines]


def expected(source: Path, rows: Iterable[tuple[int, str]]) -> list[dict[str, Any]]:
    lines = []
    for row, sequence in rows:
        label, probability = answer(sequence)
        lines.append(
            {"source": str(source), "row": row, "label": label, "probability": probability}
        )
    return lines


def assert_same(found: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    """Equal but for what single precision makes of a probability."""
    probabilities = [line.pop("probability") for line in found]
    np.testing.assert_allclose(probabilities, [line.pop("probability") for line in wanted], 1e-6)
    assert found == wanted


def files_of(output: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(output)): path.read_bytes()
        for path in sorted(output.rglob("*"))
        if path.is_file() and path.name != "predictions.json"
    }


def test_every_row_is_predicted_or_rejected_once(tmp_path: Path, model: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(
        b'other,sequence\n1,ACD\n2,"""A"\n3,\n\n4,\xff\n5,\xc3\xa9\xf0\x9f\x98\x80\n6\n7,"A\n'
        b"8,ABCDEFGHI\n9,a\rb\n10,Z"
    )
    summary = predict(model, path, tmp_path / "out", "--sequence-column", "sequence")
    assert_same(
        read_lines(tmp_path / "out", "predictions"),
        expected(path, [(2, "ACD"), (3, '"A'), (7, "é😀"), (10, "ABCDEFGHI"), (12, "Z")]),
    )
    assert read_lines(tmp_path / "out", "rejected") == [
        {"source": str(path), "row": 4, "reason": "empty_sequence", "raw": "3,"},
        {"source": str(path), "row": 6, "reason": "invalid_utf8", "raw": "4,\\xff"},
        {"source": str(path), "row": 8, "reason": "wrong_number_of_fields", "raw": "6"},
        {"source": str(path), "row": 9, "reason": "broken_quoting", "raw": '7,"A'},
        {"source": str(path), "row": 11, "reason": "line_break", "raw": "9,a\rb"},
    ]
    assert summary["counts"] == {
        "read": 10,
        "predicted": 5,
        "rejected": 5,
        "truncated": 1,
        # Of ACD "A é😀 ABCDEF Z, as they are cut; the quote and the emoji are not in the alphabet.
        "characters": 14,
        "unknown_characters": 2,
        "unknown_rows": 0,
        "normalized": {},
        "rejected_by_reason": {
            "broken_quoting": 1,
            "empty_sequence": 1,
            "invalid_utf8": 1,
            "line_break": 1,
            "wrong_number_of_fields": 1,
        },
    }
    assert not (tmp_path / "out" / ".staging").exists()


def test_the_summary_tells_the_truth_about_files_and_model(tmp_path: Path, model: Path) -> None:
    (tmp_path / "rows.txt").write_text("AC\n\r\r\nD\n")
    summary = predict(model, tmp_path / "rows.txt", tmp_path / "out")
    assert [(file["path"], file.get("rows")) for file in summary["files"]] == [
        ("predictions/part-00000-of-00001.jsonl", 2),
        ("rejected/part-00000.jsonl", 1),
        ("options.toml", None),
    ]
    for file in summary["files"]:
        data = (tmp_path / "out" / file["path"]).read_bytes()
        assert len(data) == file["bytes"]
        assert file.get("rows") in (None, data.count(b"\n"))
        assert hashlib.sha256(data).hexdigest() == file["sha256"]
    told = {file["path"]: file["sha256"] for file in summary["model"]["files"]}
    assert told == {
        name: hashlib.sha256(data).hexdigest() for name, data in files_of(model).items()
    }
    assert "saved_model.pb" in told
    assert summary["model"]["dataset_fingerprint"] == FINGERPRINT
    (told_input,) = summary["inputs"]
    assert told_input == {
        "path": str(tmp_path / "rows.txt"),
        "bytes": 8,
        "identity": f"sha256:{hashlib.sha256((tmp_path / 'rows.txt').read_bytes()).hexdigest()}",
    }
    assert summary["options"]["output"] == str(tmp_path / "out")


def test_all_formats_without_a_label(tmp_path: Path, model: Path) -> None:
    values = ["ACD", "é", "B"]
    (tmp_path / "a.tsv").write_text("x\tsequence\n" + "".join(f"1\t{v}\n" for v in values))
    (tmp_path / "b.jsonl").write_text("".join(json.dumps({"sequence": v}) + "\n" for v in values))
    # Arrow refuses the first line, so that each is parsed alone.
    (tmp_path / "c.jsonl").write_text('[]\n{"sequence": "B", "label": 1.5}\n{"sequence": null}\n')
    pq.write_table(pa.table({"n": [1, 2, 3], "sequence": values}), tmp_path / "d.parquet")
    (tmp_path / "e.txt.gz").write_bytes(gzip.compress("\n".join(values).encode()))
    summary = predict(model, tmp_path / "?.*", tmp_path / "out")
    of_each = {"a.tsv": 2, "b.jsonl": 1, "d.parquet": 1, "e.txt.gz": 1}
    wanted = [
        line
        for name, first in of_each.items()
        for line in expected(tmp_path / name, enumerate(values, first))
    ]
    wanted[6:6] = expected(tmp_path / "c.jsonl", [(2, "B")])
    assert_same(read_lines(tmp_path / "out", "predictions"), wanted)
    assert summary["counts"]["rejected_by_reason"] == {"empty_sequence": 1, "invalid_json": 1}
    assert [row["raw"] for row in read_lines(tmp_path / "out", "rejected")] == [
        "[]",
        '{"sequence": null}',
    ]


@pytest.mark.parametrize(
    ("name", "content", "flags", "rows"),
    [
        ("a.faa", b">1|x\nAC\nD\n>2\nG\n", [], [(1, "ACD"), (4, "G")]),
        ("a.csv", "sequence\tl\nACD\tx\n".encode("utf-16"), ["--delimiter=tab"], [(2, "ACD")]),
        (
            "a.csv",
            gzip.compress(b"x,ACD\ny,G\n", mtime=0),
            ["--no-header", "--sequence-column=2"],
            [(1, "ACD"), (2, "G")],
        ),
    ],
)
def test_other_files_without_a_label(
    tmp_path: Path,
    model: Path,
    name: str,
    content: bytes,
    flags: list[str],
    rows: list[tuple[int, str]],
) -> None:
    (tmp_path / name).write_bytes(content)
    predict(model, tmp_path / name, tmp_path / "out", *flags)
    assert_same(read_lines(tmp_path / "out", "predictions"), expected(tmp_path / name, rows))


def write_many(path: Path, rows: int) -> list[tuple[int, str]]:
    rng = random.Random(0)
    found = ["".join(rng.choices("ABé", k=rng.choice([0, 1, 2, 3, 4, 900]))) for _ in range(rows)]
    path.write_text("sequence,label\n" + "".join(f"{text},x\n" for text in found))
    return [(row, text) for row, text in enumerate(found, 2) if text]


@pytest.mark.engine
def test_the_same_bytes_from_two_workers(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "MIN_BLOCK_BYTES", 1 << 17)
    rows = write_many(tmp_path / "rows.csv", 5000)
    one = predict(model, tmp_path / "rows.csv", tmp_path / "one")
    two = predict(
        model,
        tmp_path / "rows.csv",
        tmp_path / "two",
        "--direct_running_mode=multi_processing",
        "--direct_num_workers=2",
    )
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
    assert one["files"] == two["files"]
    names = [file["path"] for file in one["files"] if "predictions" in file["path"]]
    assert len(names) > 3
    assert names[-1] == f"predictions/part-{len(names) - 1:05d}-of-{len(names):05d}.jsonl"
    assert_same(read_lines(tmp_path / "one", "predictions"), expected(tmp_path / "rows.csv", rows))
    assert one["counts"]["read"] == 5000


def test_rows_of_several_slices_keep_their_numbers(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dofns, "_SLICE_ROWS", 7)
    rows = write_many(tmp_path / "rows.csv", 100)
    predict(model, tmp_path / "rows.csv", tmp_path / "out")
    assert_same(read_lines(tmp_path / "out", "predictions"), expected(tmp_path / "rows.csv", rows))


def test_a_model_that_classifies_ids_is_asked_by_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In batches that are full and not; of FAIL the signature from text makes an error."""
    monkeypatch.setattr(dofns, "_SLICE_ROWS", 1500)
    model = save_toy_model(tmp_path / "model", with_ids=True)
    rng = random.Random(0)
    texts = ["FAIL", *("".join(rng.choices("ABé", k=rng.randint(1, 6))) for _ in range(3200))]
    (tmp_path / "rows.txt").write_text("\n".join(texts))
    summary = predict(model, tmp_path / "rows.txt", tmp_path / "out")
    assert_same(
        read_lines(tmp_path / "out", "predictions"),
        expected(tmp_path / "rows.txt", enumerate(texts, 1)),
    )
    assert summary["counts"]["characters"] == sum(map(len, texts))
    # XLA compiles once: it gets one shape.
    probabilities: Any = load_classifier(read_model(str(model)))._probabilities
    assert probabilities.experimental_get_tracing_count() == 1


def test_a_run_that_fails_after_writing_leaves_nothing_and_can_be_run_again(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = write_many(tmp_path / "rows.csv", 50)
    calls = []

    def fail_once(*args: Any, **kwargs: Any) -> Any:
        written = write_predictions(*args, **kwargs)
        calls.append(written)
        if len(calls) == 1:
            raise OSError("the disk is gone")
        return written

    monkeypatch.setattr(dofns, "write_predictions", fail_once)
    argv = [
        "--model",
        str(model),
        "--input",
        str(tmp_path / "rows.csv"),
        "--output",
        str(tmp_path / "out"),
        "--max-rejected-fraction=1",
    ]
    assert main(argv) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "error: the disk is gone"
    assert list((tmp_path / "out").rglob("*")) == []
    assert main(argv) == 0
    assert_same(read_lines(tmp_path / "out", "predictions"), expected(tmp_path / "rows.csv", rows))
    # Complete now: nothing is left to do, and others replace them only if told so.
    before = files_of(tmp_path / "out")
    capsys.readouterr()
    assert main(argv) == 0
    assert capsys.readouterr().out == (
        f"{tmp_path}/out already holds the predictions of this model for these inputs: nothing to "
        f"do; {len(rows)} rows predicted\n"
    )
    assert files_of(tmp_path / "out") == before
    (tmp_path / "rows.csv").write_text("sequence\nAC\n")
    assert main(argv) == 1
    assert f"not these: {tmp_path}/rows.csv has changed. Choose" in capsys.readouterr().err
    assert files_of(tmp_path / "out") == before
    assert main([*argv, "--overwrite"]) == 0
    assert_same(
        read_lines(tmp_path / "out", "predictions"), expected(tmp_path / "rows.csv", [(2, "AC")])
    )
    assert not (tmp_path / "out" / "rejected").exists() or not list(
        (tmp_path / "out" / "rejected").iterdir()
    )


def pack(before: int, *rows: tuple[str, float, int]) -> PredictedRows:
    labels, probabilities, steps = zip(*rows, strict=True)
    columns = [pa.array(labels), pa.array(probabilities, pa.float32()), pa.array(steps, pa.int32())]
    return PredictedRows(before, pack_rows(pa.RecordBatch.from_arrays(columns, schema=PREDICTED)))


PART = Part(3, Source('in "a".csv', 9, "csv", None, Header(("sequence",))), 0, 9, 9)
LATER, EARLIER = pack(4, ("x", 1.0, 1), ("y", 0.25, 3)), pack(-1, ('"é\n', 0.1, 1), ("x", 0.5, 2))


def test_a_part_written_again_has_the_same_bytes_in_another_file(tmp_path: Path) -> None:
    first = write_predictions(PART, [LATER, EARLIER], 100, str(tmp_path))
    again = write_predictions(PART, [EARLIER, LATER], 100, str(tmp_path))
    assert first.staged_path != again.staged_path
    data = Path(first.staged_path).read_bytes()
    assert data == Path(again.staged_path).read_bytes()
    assert data.decode() == (
        r'{"source": "in \"a\".csv", "row": 100, "label": "\"é\n", "probability": 0.1}'
        "\n"
        r'{"source": "in \"a\".csv", "row": 102, "label": "x", "probability": 0.5}'
        "\n"
        r'{"source": "in \"a\".csv", "row": 105, "label": "x", "probability": 1}'
        "\n"
        r'{"source": "in \"a\".csv", "row": 108, "label": "y", "probability": 0.25}'
        "\n"
    )
    assert (first.rows, first.bytes) == (4, len(data))
    assert first.sha256 == hashlib.sha256(data).hexdigest()
    assert first.file_name(9) == "predictions/part-00003-of-00009.jsonl"


@pytest.mark.parametrize("twice", [[EARLIER, EARLIER], [EARLIER, pack(0, ("x", 0.5, 2))]])
def test_a_row_predicted_twice_is_never_published(
    tmp_path: Path, twice: list[PredictedRows]
) -> None:
    with pytest.raises(DataError, match=r"a\".csv: a row was predicted twice; nothing was publ"):
        write_predictions(PART, twice, 100, str(tmp_path))


def stage(output: Path, label: str) -> PreparedPredictions:
    """Stage the files of a run, as `publish_predictions` gets them."""
    options = PredictOptions("model", ("in.csv",), str(output), overwrite=True)
    staging = new_staging(PREDICTIONS, str(output))
    mark(staging)
    files = [
        write_predictions(
            replace(PART, index=index), [pack(-1, (label, 0.5, 1))], 2, staging.directory
        )
        for index in (1, 0)
    ]
    Path(staging.path("rejected-0")).write_text(label)
    rejected = [RejectedFile(0, staging.path("rejected-0"), Counter(empty_sequence=1), ())]
    model = Model(
        "model", "fingerprint", 6, "AB", 3, ("x",), Normalization(True, False, True), (), TRAIN
    )
    counts = ReadCounts(2, rejected=Counter("x"))
    characters = CharacterCounts(2, 3, 0, 0)
    labelled = no_rows(model)
    return PreparedPredictions(
        options, model, [], staging, counts, characters, labelled, RowCounts(), files, rejected
    )


def publish_and_leave(prepared: PreparedPredictions) -> None:
    publish_predictions(prepared)
    remove_runs(prepared.options.output, [prepared.staging.run])


@pytest.mark.parametrize("replaced", [False, True])
def test_killed_at_any_step_of_publishing_and_called_again(tmp_path: Path, replaced: bool) -> None:
    publish_and_leave(stage(tmp_path / "whole", "new"))
    whole = files_of(tmp_path / "whole")
    assert list(whole) == [
        "options.toml",
        "predictions/part-00000-of-00002.jsonl",
        "predictions/part-00001-of-00002.jsonl",
        "rejected/part-00000.jsonl",
    ]
    step, cut_short = 0, True
    while cut_short:
        output = tmp_path / str(step)
        if replaced:
            publish_and_leave(stage(output, "old"))
        before = files_of(output)
        prepared = stage(output, "new")
        with pytest.MonkeyPatch.context() as patch:
            kill_at_file_change(step, patch)
            try:
                publish_predictions(prepared)
                cut_short = False
            except Killed:
                pass
        if (output / "predictions.json").exists():
            found = files_of(output)
            published = {name: found[name] for name in found if not name.startswith(".staging")}
            assert published in (whole, before)
        publish_and_leave(prepared)
        assert files_of(output) == whole
        step += 1
    assert step > 6


def test_probabilities_of_any_size_are_json() -> None:
    values = np.array([0, 1e-38, 1e-7, 0.99999994, 1, 1 / 3], np.float32)
    rows = pack(0, *(("x", float(value), 1) for value in values))
    (batch,) = pa.ipc.open_stream(rows.packed)
    output = to_output("s", np.arange(6), batch, OutputColumns())
    lines = bytes(to_json_lines(output, {})).splitlines()
    found = np.array([json.loads(line)["probability"] for line in lines], np.float32)
    np.testing.assert_array_equal(found, values)


def test_lost_rows_are_never_published(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        dofns, "write_predictions", lambda part, values, *rest: write_predictions(part, [], *rest)
    )
    (tmp_path / "rows.txt").write_text("A\nB\n")
    argv = ["--model", str(model), "--input", str(tmp_path / "rows.txt"), "--output"]
    assert main([*argv, str(tmp_path / "out")]) == 1
    assert "2 rows were read, but 0 predicted + 0 rejected make 0" in capsys.readouterr().err
    assert not (tmp_path / "out" / "predictions.json").exists()


def last_error(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(argv) == 1
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return error.splitlines()[-1]


@pytest.mark.parametrize(
    ("sequence", "said"),
    [("FAIL", "the model fails: "), ("NAN", "the model gives nan where 0 to 1 was expected")],
)
def test_a_model_that_fails(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str], sequence: str, said: str
) -> None:
    (tmp_path / "rows.txt").write_text(f"A\n{sequence}\n")
    argv = [
        "--model",
        str(model),
        "--input",
        str(tmp_path / "rows.txt"),
        "--output",
        str(tmp_path / "out"),
    ]
    error = last_error(argv, capsys)
    assert error.startswith(f"error: {model}: {said}")
    assert not list((tmp_path / "out").rglob("*"))


def test_what_is_no_model_is_told_at_once(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(path: Path) -> str:
        return last_error(["--model", str(path), "--input", "none", "--output", "none"], capsys)

    assert told(tmp_path) == f"error: {tmp_path} holds no saved_model.pb: not a SavedModel"
    for version in ("9", "10"):
        shutil.copytree(model, tmp_path / "registry" / version)
    assert told(tmp_path / "registry").endswith(f"; did you mean --model {tmp_path}/registry/10?")
    broken = tmp_path / "registry" / "9"
    (broken / "saved_model.pb").write_bytes(b"no protocol buffer")
    assert told(broken).startswith(f"error: {broken}: cannot be loaded: ")
    (broken / "assets" / "dataset.json").write_text("[]")
    assert "dataset.json: not a manifest: " in told(broken)
    (broken / "assets" / "dataset.json").unlink()
    assert told(broken) == (
        f"error: {broken} holds no assets/dataset.json: not a model that the trainer exported"
    )
    other = save_toy_model(tmp_path / "other", signature="other")
    assert told(other) == (
        f"error: {other}: signature serving_default takes ['text'] and gives ['label']; expected "
        "to take ['sequence'] and to give 'label' and 'probability'"
    )


def test_a_model_that_writes_files_is_used_only_if_it_is_trusted(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = Path(shutil.copytree(model, tmp_path / "model"))
    make_hostile(hostile, tmp_path / "stolen")
    (tmp_path / "rows.txt").write_text("AC\n")
    paths = ["--input", str(tmp_path / "rows.txt"), "--output", str(tmp_path / "out")]
    said = last_error(["--model", str(hostile), *paths], capsys)
    assert said.startswith(
        f"error: {hostile}: operation WriteFile in function __inference_classify"
    )
    assert said.endswith("load it only if you trust its origin, with --trust-model")
    assert not (tmp_path / "stolen").exists()
    predict(hostile, tmp_path / "rows.txt", tmp_path / "out", "--trust-model")
    assert (tmp_path / "stolen").read_text() == "secret"
    assert [row["label"] for row in read_lines(tmp_path / "out", "predictions")] == ["is A"]


def test_a_worker_never_uses_another_model_than_the_one_described(
    tmp_path: Path, model: Path
) -> None:
    copy = Path(shutil.copytree(model, tmp_path / "model"))
    described = read_model(f"{copy}/")
    (copy / "assets" / "dataset.json").write_text(toy_manifest(fingerprint="another").to_text())
    with pytest.raises(DataError, match="model: the model changed while it was used"):
        load_classifier(described)


def test_characters_are_counted_as_the_model_encodes_them() -> None:
    ids = np.array([[1, 9, 0], [9, 9, 0], [9, 9, 9], [2, 2, 2]])
    column = pa.array(["A?", "c" * 50, "bcd", "BBB"])
    counts = count_characters(column, ids, np.array([2, 2, 3, 3]), 9)
    assert counts == CharacterCounts(4, 10, 6, 2, ("bcd", "c" * 40))
    more = CharacterCounts(3, 9, 9, 3, ("a", "x", "y"))
    total = add_characters([counts, CharacterCounts(), more])
    assert total == CharacterCounts(7, 19, 15, 5, ("a", "bcd", "c" * 40))
    check_characters(CharacterCounts(10, 10, 9, 5), "M", "AB")
    with pytest.raises(MismatchError) as raised:
        check_characters(total, "M", "AB")
    assert str(raised.value) == (
        "5 of 7 rows have only characters that the model M does not know, such as 'a', 'bcd', "
        f"'{'c' * 40}'; its alphabet is 'AB'; nothing was written"
    )


def end_of_prediction(
    rows: bytes, folder: Path, model: Path, capsys: pytest.CaptureFixture[str], *flags: str
) -> tuple[int, str, str]:
    """Return status, standard output and the error of a prediction for the lines of a file."""
    (folder / "rows.txt").write_bytes(rows)
    paths = ["--input", str(folder / "rows.txt"), "--output", str(folder / "out")]
    status = main(["--model", str(model), *paths, *flags])
    assert (folder / "out" / "predictions.json").exists() is (status == 0)
    out, error = capsys.readouterr()
    return status, out, error.partition("error: ")[2]


@pytest.mark.parametrize("flags", [[], ["--max-rejected-fraction", "1"]])
def test_rows_that_are_all_rejected_are_status_3(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    status, _, error = end_of_prediction(b"\xe9A\n\xe9B\n", tmp_path, model, capsys, *flags)
    assert status == 3
    assert error.splitlines() == [
        "all 2 rows are rejected; nothing was written",
        "  2 invalid_utf8 (bytes that are not UTF-8, as in Windows-1252, from which iconv converts)"
        ", such as",
        f"    {tmp_path}/rows.txt, row 1: '\\\\xe9A'",
        f"    {tmp_path}/rows.txt, row 2: '\\\\xe9B'",
    ]


def test_rows_in_other_characters_than_the_model_knows_are_status_3(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, error = end_of_prediction(b"ab\ncd\nAb\n", tmp_path, model, capsys)
    assert (status, error) == (
        3,
        f"2 of 3 rows have only characters that the model {model} does not know, such as 'ab', "
        "'cd'; its alphabet is 'ABCDEFGHIJKLMNOPQRSTUVWXYZé'; nothing was written\n",
    )


def test_too_many_rejected_rows_are_status_1_and_a_few_are_allowed(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = b"A\n\xffB\nC?\nABCDEFGH\n"
    status, _, error = end_of_prediction(rows, tmp_path, model, capsys)
    assert status == 1
    assert error.startswith(
        "1 of 4 rows are rejected, more than --max-rejected-fraction 0.01 allows; nothing was"
    )
    allowed = ("--max-rejected-fraction", "0.25")
    status, out, _ = end_of_prediction(rows, tmp_path, model, capsys, *allowed)
    assert status == 0
    assert (
        "11.1 % of the characters are outside the alphabet, 33.3 % of the rows are cut at 6" in out
    )


def test_no_sequence_column_and_no_rows(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rows.csv").write_text("text\n")
    argv = [
        "--model",
        str(model),
        "--input",
        str(tmp_path / "rows.csv"),
        "--output",
        str(tmp_path / "out"),
    ]
    assert last_error(argv, capsys).endswith(
        "no column 'sequence'; its columns are 'text'; say which with --sequence-column; if row 1 "
        "is no header, say --no-header --sequence-column 1"
    )
    assert last_error([*argv, "--sequence-column=text"], capsys).endswith("nothing but headers")


def test_neither_keras_nor_tensorflow_transform_is_needed(tmp_path: Path, model: Path) -> None:
    (tmp_path / "rows.txt").write_text("AC\n")
    script = (
        "import sys\n"
        "sys.modules.update(keras=None, tensorflow_transform=None, trainer=None)\n"
        "from pipeline.predict.__main__ import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            script,
            f"--model={model}",
            f"--input={tmp_path / 'rows.txt'}",
            f"--output={tmp_path / 'out'}",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "1 rows read" in done.stdout


def test_an_input_in_the_output_directory_is_refused_and_stays(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    status, _, error = end_of_prediction(b"A\n", tmp_path, model, capsys, "--output", str(tmp_path))
    assert status == 2
    assert error.startswith(f"--input {tmp_path}/rows.txt lies in --output {tmp_path}, whose")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "rows.txt"]


def test_an_input_that_changes_while_it_is_read_is_never_published(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows.txt"
    path.write_text("A\nB\n")

    def change_and_build(*args: Any) -> Any:
        path.write_text("C\nD\n")
        return build(*args)

    monkeypatch.setattr("pipeline.predict.run.build", change_and_build)
    argv = ["--model", str(model), "--input", str(path), "--output", str(tmp_path / "out")]
    assert f"error: {path}: changed while it was read; nothing was" in last_error(argv, capsys)
    assert not list((tmp_path / "out").iterdir())
