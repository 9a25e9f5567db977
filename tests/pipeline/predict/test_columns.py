"""The columns and the format of predictions: ids and columns carried through, several labels."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from charseq.errors import UsageError
from pipeline.predict.__main__ import main
from pipeline.predict.columns import OutputColumns, parse_names
from pipeline.predict.formats import to_json_lines
from pipeline.predict.options import PredictOptions
from tests.support.toy_model import save_toy_model

ROWS = (
    "id,sequence,label,note\n"
    'r1,ACD,true,"say ""hi"", you"\n'
    "r2,,false,empty\n"
    "r3,B,false,\n"
    "r4,CDCD,true,caf\u00e9\\\n"
)
FLAGS = ["--id-column", "id", "--keep", "note,label", "--with-sequence", "--top", "2"]
NAMES = ["source", "row", "id", "label", "probability", "label_2", "probability_2"]
NAMES += ["sequence", "note", "input_label"]
# Without source and probabilities.
EXPECTED = [
    ("2", "r1", "is A", "is B", "ACD", 'say "hi", you', "true"),
    ("4", "r3", "is B", "is A", "B", "", "false"),
    ("5", "r4", "is C", "is A", "CDCD", "caf\u00e9\\", "true"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_toy_model(tmp_path_factory.mktemp("model") / "7", with_ids=True)


def predict(model: Path, rows: Path, output: Path, *flags: str) -> Path:
    """Predict, which must succeed; return the file of predictions."""
    argv = ["--model", str(model), "--input", str(rows), "--output", str(output)]
    assert main([*argv, "--max-rejected-fraction", "0.5", *flags]) == 0
    (path,) = (output / "predictions").iterdir()
    return path


def read(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file of any format."""
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()  # type: ignore[no-any-return]
    text = path.read_text()
    if path.suffix == ".csv":
        return [dict(row) for row in csv.DictReader(io.StringIO(text))]
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_what_is_asked_for_is_there_in_every_format(model: Path, tmp_path: Path, form: str) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text(ROWS)
    path = predict(model, rows, tmp_path / "out", *FLAGS, "--output-format", form)
    assert path.name == f"part-00000-of-00001.{form}"
    found = read(path)
    assert [list(row) for row in found] == [NAMES] * 3
    assert {row["source"] for row in found} == {str(rows)}
    texts = ("id", "label", "label_2", "sequence", "note", "input_label")
    assert [(str(row["row"]), *(row[name] or "" for name in texts)) for row in found] == EXPECTED
    best = [float(row["probability"]) for row in found]
    assert best == pytest.approx([1 / 3, 1, 1 / 4], rel=1e-6)
    second = [float(row["probability_2"]) for row in found]
    assert second == pytest.approx([2 / 3 / 27, 0, 3 / 4 / 27], rel=1e-6)
    summary = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert summary["options"]["keep"] == ["note", "label"]
    # The same command again has nothing to do; with other columns it is refused.
    argv = ["--model", str(model), "--input", str(rows), "--output", str(tmp_path / "out")]
    argv += ["--max-rejected-fraction", "0.5", *FLAGS, "--output-format", form]
    assert main(argv) == 0
    assert main([*argv, "--keep", "note"]) == 1


def test_values_of_json_lines_and_parquet_are_carried_as_text(model: Path, tmp_path: Path) -> None:
    lines = [
        {"sequence": "A", "id": 7, "x": None},
        {"sequence": "B", "id": 9007199254740993, "x": {"y": [1, "\u00fc"]}},
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    path = predict(model, tmp_path / "rows.jsonl", tmp_path / "a", "--id-column", "id", "--keep=x")
    found = [(row["id"], row["x"]) for row in read(path)]
    assert found == [("7", None), ("9007199254740993", '{"y": [1, "\u00fc"]}')]
    pq.write_table(pa.table({"sequence": ["A", "B"], "id": [7, None]}), tmp_path / "rows.parquet")
    path = predict(model, tmp_path / "rows.parquet", tmp_path / "b", "--id-column", "id")
    assert [row["id"] for row in read(path)] == ["7", None]


def test_a_carried_value_that_is_not_utf8_rejects_its_row(model: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(b"sequence,id\nA,caf\xe9\nB,2\n")
    path = predict(model, tmp_path / "rows.csv", tmp_path / "out", "--id-column", "id")
    assert [row["id"] for row in read(path)] == ["2"]
    (rejected,) = (tmp_path / "out" / "rejected").iterdir()
    assert [row["reason"] for row in read(rejected)] == ["invalid_utf8"]


def test_a_model_has_no_more_labels_than_it_has(model: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.txt").write_text("AC\n")
    (row,) = read(predict(model, tmp_path / "rows.txt", tmp_path / "out", "--top", "99"))
    assert list(row)[-2:] == ["label_28", "probability_28"]
    assert len({row[name] for name in row if name.startswith("label")}) == 28


def test_an_earlier_model_gives_one_label(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save_toy_model(tmp_path / "7")
    (tmp_path / "rows.txt").write_text("AC\n")
    argv = ["--model", str(model), "--input", str(tmp_path / "rows.txt"), "--top", "2"]
    assert main([*argv, "--output", str(tmp_path / "out")]) == 1
    assert "which is not enough for --top 2; train it again" in capsys.readouterr().err


@pytest.mark.unit
def test_names_that_stand_twice_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^--keep: 'a' would stand twice in the output"):
        PredictOptions("m", ("i",), "o", id_column="a", keep=("b", "a"))


@pytest.mark.unit
@pytest.mark.parametrize(
    ("text", "names"),
    [("a", ("a",)), ("a,b c", ("a", "b c")), ('"a,b", c', ("a,b", "c"))],
)
def test_names_are_separated_by_commas(text: str, names: tuple[str, ...]) -> None:
    assert parse_names(text) == names


@pytest.mark.unit
@pytest.mark.parametrize("text", ["", ",", "a,,b", " "])
def test_a_name_is_not_empty(text: str) -> None:
    with pytest.raises(ValueError, match=r"^got '.*', expected names with commas between"):
        parse_names(text)


@pytest.mark.unit
@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a" * 200_000])
def test_what_no_csv_is(text: str) -> None:
    with pytest.raises(ValueError, match=r"^got 'a"):
        parse_names(text)


@pytest.mark.unit
def test_the_order_of_columns() -> None:
    assert OutputColumns().names() == ["source", "row", "label", "probability"]
    assert OutputColumns("id", ("row", "x"), True, 2).names() == [
        *("source", "row", "id", "label", "probability", "label_2", "probability_2", "sequence"),
        *("input_row", "x"),
    ]


@pytest.mark.unit
def test_any_text_is_json() -> None:
    texts = ['"', "\\", "a\tb", "\x00\x1f", "\u2028", "plain", None, "\U0001f600"]
    for rows in (texts, [text for text in texts if text is None or text.isprintable()]):
        batch = pa.record_batch({'na"me': pa.array(rows, pa.string()), "n": range(len(rows))})
        lines = bytes(to_json_lines(batch.slice(1), {})).decode().split("\n")[:-1]
        found = [json.loads(line) for line in lines]
        assert found == [{'na"me': text, "n": n} for n, text in enumerate(rows)][1:]
