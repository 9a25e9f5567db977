from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from charseq.ask import answers
from charseq.ask.answers import Answer, Asked, Rejected, Wanted
from charseq.errors import DataError
from charseq.manifest import parse_manifest
from tests.support.toy_model import save_toy_model

MORE = ("explain", "predict_set")


def load(path: Path) -> Asked:
    return Asked(str(path), parse_manifest((path / "assets" / "dataset.json").read_bytes(), "m"))


@pytest.fixture(scope="module", name="asked")
def _asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    return load(save_toy_model(tmp_path_factory.mktemp("model") / "7", with_ids=True, more=MORE))


def test_each_sequence_gets_its_own_answer_in_its_place(asked: Asked) -> None:
    rows = [b"ABCD", b"", b"B", b"\xff", b"AB", b" \t"]
    assert asked.answer(rows, Wanted()) == [
        Answer("ABCD", "is A", 0.25),
        Rejected("", "empty_sequence"),
        Answer("B", "is B", 1.0),
        Rejected("\ufffd", "invalid_utf8"),
        Answer("AB", "is A", 0.5),
        Rejected(" \t", "empty_sequence"),
    ]
    assert asked.answer([], Wanted()) == []


def test_influence_is_of_the_characters_that_the_model_reads(asked: Asked) -> None:
    assert asked.answer([b"ABC", b"ABCDEFGH"], Wanted(influence=True)) == [
        Answer("ABC", "is A", 0.333333, None, "ABC", (0.5, 0.25, 0.0)),
        Answer(
            "ABCDEFGH",
            "is A",
            0.125,
            None,
            "ABCDEF",
            (0.5, 0.25, 0.0, -0.25, -0.5, -0.75),
            is_cut=True,
        ),
    ]


@pytest.mark.parametrize(("coverage", "labels"), [(0.9, ("is A",)), (0.95, ("is A", "is unknown"))])
def test_a_set_has_the_first_labels(asked: Asked, coverage: float, labels: tuple[str, ...]) -> None:
    assert asked.answer([b"A"], Wanted(coverage=coverage)) == [Answer("A", "is A", 1.0, labels)]


def test_a_sequence_is_normalized_as_the_dataset_was(tmp_path: Path) -> None:
    options = {"normalize": "nfc", "lowercase": False, "strip": True}
    asked = load(save_toy_model(tmp_path / "model", more=("explain",), options=options))
    [answer] = asked.answer([" e\u0301A".encode()], Wanted(influence=True))
    # The toy model strips nothing itself, as the graph of a dataset would.
    assert answer == Answer(
        " e\u0301A", "is  ", 0.333333, None, "éA", (0.5, 0.25), strangeness=None
    )


def test_many_sequences_are_answered_alike_by_xla(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [(chr(65 + number % 26) * (1 + number % 5)).encode() for number in range(1600)]
    expected = asked.answer(rows, Wanted())
    signatures = []
    call = Asked._call

    def note(asked: Asked, signature: str, *inputs: Any) -> Any:
        signatures.append(signature)
        return call(asked, signature, *inputs)

    monkeypatch.setattr(answers, "_ROWS_BEFORE_XLA", 0)
    monkeypatch.setattr(Asked, "_call", note)
    assert asked.answer(rows, Wanted()) == expected
    assert asked.answer(rows[:3], Wanted()) == expected[:3]
    # 1,024 rows, those that are left, and three.
    assert signatures == ["encode", "encode", "serving_default"]


def test_a_model_that_fails_or_gives_no_probability_is_named(asked: Asked) -> None:
    with pytest.raises(DataError, match=r"7: the model fails: .*no such sequence, please"):
        asked.answer([b"A", b"FAIL"], Wanted())
    with pytest.raises(DataError, match="7: the model gives no probability, 0 to 1"):
        asked.answer([b"A", b"NAN"], Wanted())


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = save_toy_model(tmp_path / "model", signature="encode")
    with pytest.raises(DataError, match=r"signature serving_default gives \['ids', 'length'\]"):
        load(path)


def test_an_earlier_model_neither_explains_nor_has_sets(tmp_path: Path, asked: Asked) -> None:
    earlier = load(save_toy_model(tmp_path / "model"))
    assert (earlier.explains, earlier.has_sets) == (False, False)
    assert (asked.explains, asked.has_sets) == (True, True)
