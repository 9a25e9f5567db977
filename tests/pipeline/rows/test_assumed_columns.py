"""Keys that the first rows of large JSON Lines lack: an error of the file if no row has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from charseq.errors import DataError
from pipeline.__main__ import main
from pipeline.dataset.checking import check_block
from pipeline.options import Options
from pipeline.predict.__main__ import main as predict
from pipeline.rows.assumed_columns import check_assumed
from pipeline.rows.blocks import read_blocks
from pipeline.rows.counts import add_counts
from pipeline.rows.parts import cut_into_parts
from pipeline.rows.sources import find_sources
from tests.support.toy_model import save_toy_model

# 3 MB of rows: the header is read from the first of them, and the file is cut into two parts.
PADDING = b"\n" + (b'{"id": "' + b"1" * 1000 + b'"}\n') * 3000
NO_LABEL = "no column 'label'; its columns are 'sequence', 'id'; say which with --label-column"
NO_SEQUENCE = (
    "no column 'sequence'; its columns are 'label', 'id'; say which with --sequence-column"
)


def write(path: Path, first: bytes, last: bytes) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(first + PADDING + last)
    return path


def check(path: Path) -> None:
    options = Options(input=(str(path),), output="unused", max_length=5)
    parts = cut_into_parts(find_sources(options.input_options))
    assert len(parts) == 2
    blocks = (block for part in parts for block in read_blocks(part))
    counts = add_counts([check_block(block, options).counts for block in blocks])
    check_assumed(counts, parts, options.input_options)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        (b'{"sequence": "A"}', b'{"sequence": "C"}', NO_LABEL),
        (b'{"sequence": "A"}', b'{"sequence": "C", "meta": {"label": "x"}}', NO_LABEL),
        (b'{"label": "x"}', b'{"label": "x"}', NO_SEQUENCE),
    ],
)
def test_a_column_that_no_row_has_is_an_error_of_the_file(
    tmp_path: Path, first: bytes, last: bytes, message: str
) -> None:
    path = write(tmp_path / "rows.jsonl", first, last)
    with pytest.raises(DataError) as error:
        check(path)
    assert str(error.value) == f"{path}: {message}"


@pytest.mark.unit
@pytest.mark.parametrize(
    "last",
    [
        b'{"sequence": "C", "label": "x"}',
        b'{"sequence": "C", "label": null}',
        b'{"sequence": "C", "label": [1]}',
        b'{"sequence": "C", "l\\u0061bel": null}',
        b'{"sequence": "C", "label": "x", "note": "\xff"}',  # Arrow reads it, Python does not.
    ],
)
def test_one_row_with_the_key_is_enough_whatever_its_value(tmp_path: Path, last: bytes) -> None:
    check(write(tmp_path / "rows.jsonl", b'{"sequence": "A"}', last))


@pytest.mark.unit
def test_the_label_of_a_directory_needs_no_column(tmp_path: Path) -> None:
    check(write(tmp_path / "label=x" / "rows.jsonl", b'{"sequence": "A"}', b'{"sequence": "C"}'))


@pytest.mark.integration
def test_a_preparation_writes_nothing_if_one_file_of_two_lacks_a_column(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f'{{"sequence": "{c}{d}", "label": "x"}}\n' for c in "ACDE" for d in "ACDE")
    (tmp_path / "a.jsonl").write_text(rows)
    path = write(tmp_path / "b.jsonl", b'{"sequence": "A"}', b'{"sequence": "C"}')
    output = tmp_path / "dataset"
    flags = ["--max-rejected-fraction", "1"]
    assert main(["--input", f"{tmp_path}/*.jsonl", "--output", str(output), *flags]) == 1
    assert f"error: {path}: {NO_LABEL} [while running 'Plan']\n" in capsys.readouterr().err
    assert not (output / "dataset.json").exists()


@pytest.mark.integration
def test_a_prediction_writes_nothing_if_a_file_lacks_the_sequences(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "rows.jsonl", b'{"label": "x"}', b'{"label": "x"}')
    model, output = save_toy_model(tmp_path / "model"), tmp_path / "predictions"
    flags = ["--max-rejected-fraction", "1"]
    paths = ["--model", str(model), "--input", str(path), "--output", str(output)]
    assert predict([*paths, *flags]) == 1
    assert f"error: {path}: {NO_SEQUENCE} [while running 'Check']\n" in capsys.readouterr().err
    assert not (output / "predictions.json").exists()
