from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.chart import draw_accuracy
from benchmarks.peers.classification import Peer, Predict, Settings, choose_settings
from benchmarks.peers.classification import run as run_peer
from benchmarks.quality import tables
from benchmarks.quality.__main__ import shapes_table, systems_of
from benchmarks.quality.datasets import Prepared, split_rows
from benchmarks.quality.results import (
    NO_TIME,
    Key,
    Result,
    Seconds,
    add_result,
    read_results,
)
from benchmarks.quality.rows import (
    Row,
    clean_word,
    hash_bucket,
    leave_out_shared,
    read_rows,
    score,
    shuffle_words,
    split_fold,
    write_rows,
)
from benchmarks.quality.sources import LANGUAGES, TEN_LANGUAGES, WORDFREQ
from benchmarks.quality.systems import CHARSEQ, LONGER, PEERS, Job, read_predictions, steady_rate
from benchmarks.quality.tasks import TASKS
from charseq.errors import DataError

pytestmark = pytest.mark.unit

ROWS = [Row(name, "xy"[place % 2]) for place, name in enumerate("abcdefgh")]


def make_result(
    task: str = "names",
    fold: int = 0,
    seed: int = 1,
    system: str = "charseq",
    accuracy: float = 0.5,
    training: Seconds = Seconds(4.0, 6.0),  # noqa: B008 - immutable
    options: dict[str, object] | None = None,
    rate: float | None = None,
) -> Result:
    return Result(
        Key(task, fold, seed, system),
        accuracy,
        macro_f1=accuracy / 2,
        train_rows=80,
        test_rows=20,
        start=Seconds(1.0, 2.0),
        tuning=NO_TIME,
        training=training,
        prediction=Seconds(0.5, 0.25),
        options=options or {},
        rate=rate,
    )


def by_key(*results: Result) -> dict[Key, Result]:
    return {result.key: result for result in results}


def test_a_hash_depends_on_the_text_and_the_salt_alone() -> None:
    assert [hash_bucket(text, 10) for text in ("anna", "otto", "ä")] == [3, 1, 6]
    assert hash_bucket("anna", 10, "split") == 4


def test_rows_are_written_once_in_the_order_of_their_hash(tmp_path: Path) -> None:
    path = tmp_path / "new" / "rows.tsv"
    rows = [Row("b", "x"), Row("c", "y"), Row("e", "x"), Row("ä", "y"), Row("b", "x")]
    assert write_rows(path, rows) == 4
    assert path.read_text(encoding="utf-8") == "sequence\tlabel\nä\ty\nb\tx\ne\tx\nc\ty\n"
    assert read_rows(path) == [rows[3], rows[0], rows[2], rows[1]]


def test_each_row_is_tested_in_one_fold() -> None:
    folds = [split_fold(ROWS, fold, 3) for fold in range(3)]
    tested = ["".join(sorted(row.sequence for row in test)) for _, test in folds]
    assert tested == ["adeh", "bfg", "c"]
    assert all(train == set(ROWS) - test for train, test in folds)


def test_equal_sequences_are_in_one_fold() -> None:
    rows = [Row("same", str(label)) for label in range(20)]
    assert {len(test) for _, test in (split_fold(rows, fold, 5) for fold in range(5))} == {0, 20}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" Straße ", "straße"),
        ("e\N{COMBINING ACUTE ACCENT}te", "\N{LATIN SMALL LETTER E WITH ACUTE}te"),
        ("don't", "don't"),
        ("two words", None),
        ("b2b", None),
        ("--", None),
        ("a" * 61, None),
    ],
)
def test_words_are_cleaned(text: str, expected: str | None) -> None:
    assert clean_word(text) == expected


def test_words_of_two_lists_are_left_out() -> None:
    assert leave_out_shared([("x", ["a", "b", "a"]), ("y", ["b", "c"])]) == {
        Row("a", "x"),
        Row("c", "y"),
    }


def test_words_of_a_dictionary_lose_their_order() -> None:
    assert shuffle_words(["a", "b", "c", "d", "a"]) == ["a", "c", "b", "d"]


def test_accuracy_and_macro_f1() -> None:
    # x: 2 of 3 found, all 2 said right: f1 0.8. y: found, said twice: f1 2 / 3.
    assert score(["x", "x", "x", "y"], ["x", "x", "y", "y"]) == pytest.approx((0.75, 11 / 15))
    # What no row has is no label of its own: x is said once, of 2.
    assert score(["x", "x"], ["x", ""]) == pytest.approx((0.5, 2 / 3))


def test_there_are_64_languages_and_ten_of_them_with_lists_by_frequency() -> None:
    assert len(set(LANGUAGES)) == len(LANGUAGES) == 64
    assert len(set(TEN_LANGUAGES) & set(WORDFREQ)) == 10


def test_folds_of_a_task() -> None:
    root = Path("root")
    assert TASKS["names1000"].directory(root, 3) == root / "names/fold3"
    assert TASKS["ten"].directory(root, 0) == root / "ten"


def test_longer_trainings_are_for_few_rows() -> None:
    assert list(systems_of(TASKS["names"], [CHARSEQ, LONGER])) == [CHARSEQ]
    assert list(systems_of(TASKS["names1000"], [CHARSEQ, LONGER])) == [CHARSEQ, LONGER]


def test_the_rows_of_peers_are_those_of_the_splits() -> None:
    rows = [*ROWS, Row("ax", "x")]  # Cut at 1 it is another "a".
    manifest = {"max_length": 1, "counts": {"train": 6, "validation": 2}}
    train, validation = split_rows(rows, manifest)
    assert sorted(train) == sorted(row for row in ROWS if row.sequence in "abcefh")
    assert sorted(validation) == [Row("d", "y"), Row("g", "x")]
    with pytest.raises(DataError, match="7 rows for the train split, expected 6 as prepared"):
        split_rows(rows, {**manifest, "max_length": 2})


def test_a_stopped_benchmark_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    assert read_results(path) == {}
    first, second = make_result(options={"epochs": 3}), make_result(seed=2, rate=9.5)
    add_result(path, first)
    add_result(path, second)
    assert read_results(path) == by_key(first, second)
    with path.open("ab") as file:
        file.write(b'{"task": "names", "fo')  # A write that was cut short.
    assert read_results(path) == by_key(first, second)
    add_result(path, make_result(seed=3))
    assert [key.seed for key in read_results(path)] == [1, 2, 3]


def test_predictions_are_in_the_order_of_their_rows(tmp_path: Path) -> None:
    (tmp_path / "predictions").mkdir()
    for part, lines in enumerate(([(2, "x"), (3, "y")], [(5, "z")])):
        text = "".join(json.dumps({"row": row, "label": label}) + "\n" for row, label in lines)
        (tmp_path / f"predictions/part-{part}.jsonl").write_text(text)
    assert read_predictions(tmp_path, 4) == ["x", "y", "", "z"]


def test_the_first_epoch_does_not_count_in_the_rate() -> None:
    epochs = [
        {"seconds": 9.0, "sequences_per_second": 10.0},
        {"seconds": 1.0, "sequences_per_second": 90.0},
        {"seconds": 3.0, "sequences_per_second": 30.0},
    ]
    assert steady_rate(epochs) == 45.0
    assert steady_rate(epochs[:1]) is None


def test_longer_trainings_need_to_know_the_epochs() -> None:
    unit = Prepared(Path("dataset"), Path("train"), Path("validation"), Path("test"))
    job = Job(Key("names1000", 0, 1, LONGER.name), unit, Path("root"), {})
    with pytest.raises(DataError, match="no result of charseq to know the epochs from"):
        LONGER.run(job)


def test_spread_over_folds_and_seeds() -> None:
    results = by_key(
        make_result(accuracy=0.5),
        make_result(seed=2, accuracy=0.6),
        make_result("amp", system="fastText tuned", accuracy=0.75),
    )
    assert tables.spread_table(
        "accuracy", results, ["charseq", "fastText tuned"], lambda one: one.accuracy
    ).splitlines() == [
        "| accuracy | charseq | fastText tuned |",
        "| --- | ---: | ---: |",
        "| first names by sex | 55.0 ± 7.1 | – |",
        "| antimicrobial peptides | – | 75.0 |",
    ]


def test_the_margin_is_to_the_better_tuned_peer() -> None:
    results = by_key(
        make_result(accuracy=0.80),
        make_result(seed=2, accuracy=0.90),
        make_result(system="fastText tuned", accuracy=0.83),
        make_result(system="scikit-learn tuned", accuracy=0.81),
        make_result("amp", accuracy=0.7),
        make_result("amp", system="fastText tuned", accuracy=0.1),
    )
    assert tables.margin(results, "names") == pytest.approx(0.02)
    assert tables.margin(results, "amp") is None
    assert tables.describe_margins(results) == (
        "charseq is at or above the better of the tuned peers on 1 of 1 tasks, and +2.0 points "
        "from it on average."
    )
    assert tables.describe_margins({}) == ""


def test_costs_are_with_and_without_start() -> None:
    results = by_key(
        make_result(), make_result(system="fastText tuned", training=Seconds(1.0, 1.0))
    )
    lines = tables.costs_table(results, ["charseq", "fastText tuned"]).splitlines()
    assert lines[2:] == [
        "| first names by sex | charseq | 5.0 | 4.0 | 8.0 | 6.0 | – | 2.50 | 40 |",
        "| first names by sex | fastText tuned | 2.0 | 1.0 | 3.0 | 1.0 | – | 1.00 | 40 |",
    ]
    assert tables.format_rate([(20, 0.5), (20, -0.6)]) == "–"


def test_options_that_never_change_are_shown_once() -> None:
    results = by_key(
        make_result(options={"batch": 8, "epochs": 3}),
        make_result(seed=2, options={"batch": 8, "epochs": 4}),
        make_result("amp", options={"batch": 8, "epochs": 3}),
    )
    assert tables.options_lines(results, ["charseq"]).splitlines() == [
        "- charseq: batch 8",
        "- charseq, first names by sex: epochs 3; or epochs 4",
        "- charseq, antimicrobial peptides: epochs 3",
    ]


def test_a_chart_has_a_line_for_each_family() -> None:
    results = by_key(
        make_result(accuracy=0.8),
        make_result(system="charseq, 10 × the epochs", training=Seconds(40.0, 40.0), accuracy=0.9),
        make_result(system="fastText tuned", accuracy=0.7, training=Seconds(2.0, 1.0)),
        make_result(system="fastText default", accuracy=0.6, training=Seconds(1.0, 1.0)),
    )
    lines = tables.courses(results, "names", [key.system for key in results])
    assert lines == {"charseq": [(5.0, 0.8), (41.0, 0.9)], "fastText": [(2.0, 0.6), (3.0, 0.7)]}
    drawn = ElementTree.fromstring(draw_accuracy(lines, lowest=0.5))
    texts = [element.text for element in drawn.iter() if element.tag.endswith("text")]
    assert texts[:6] == ["0.5", "0.6", "0.7", "0.8", "0.9", "1.0"]
    heights = [circle.get("cy") for circle in drawn.iter() if circle.tag.endswith("circle")]
    assert heights == ["150.4", "83.2", "284.8", "217.6"]  # Of 352 at 0.5 to 16 at 1.


def test_shapes_are_compared_by_accuracy_and_rate() -> None:
    shapes = ("(31,)", "(31, 25)", "(31, 1)")
    results = by_key(*(make_result("ten", system=shape, rate=1000.0) for shape in shapes))
    assert shapes_table(results, "ten").splitlines()[2:] == [
        "| `(31,)` | 50.0 | 1,000 |",
        "| `(31, 25)` | 50.0 | 1,000 |",
        "| `(31, 1)` | 50.0 | 1,000 |",
    ]


def fit_constant(rows: Sequence[Row], settings: Settings, seed: int, threads: int) -> Predict:
    return lambda sequences: [settings["label"]] * len(sequences)


CONSTANT = Peer(
    lambda rows: {"label": "x"},
    lambda rows: [{"label": "x"}, {"label": "y"}],
    fit_constant,
)


def test_settings_are_chosen_on_the_validation_rows() -> None:
    train, validation = [Row("a", "x")], [Row("b", "y"), Row("c", "y"), Row("d", "x")]
    assert choose_settings(CONSTANT, train, validation, 1, 1) == {"label": "y"}
    trained: list[Sequence[Row]] = []

    def fit(rows: Sequence[Row], settings: Settings, seed: int, threads: int) -> Predict:
        trained.append(rows)
        return fit_constant(rows, settings, seed, threads)

    choose_settings(replace(CONSTANT, fit=fit), train, validation, 1, 1)
    assert trained == [train, train]


def test_a_peer_tells_what_it_predicted_and_how_long_it_took(tmp_path: Path) -> None:
    paths = {name: tmp_path / f"{name}.tsv" for name in ("train", "validation", "test")}
    for path, label in zip(paths.values(), "xyx", strict=True):
        write_rows(path, [Row("a", label), Row("b", label)])
    output = tmp_path / "out.json"
    argv = [*(f"--{name}={path}" for name, path in paths.items()), f"--output={output}"]
    assert run_peer(CONSTANT, [*argv, "--seed=1", "--threads=1", "--tuned"], None) == 0
    content = json.loads(output.read_text())
    assert content["options"] == {"label": "y"}
    assert content["predicted"] == ["y", "y"]
    assert set(content["seconds"]) == {"tuning", "training", "prediction"}


def test_default_and_tuned_peers_have_their_seeds() -> None:
    assert {peer.name: tuple(peer.seeds) for peer in PEERS} == {
        "fastText default": (1, 2),
        "fastText tuned": (1, 2),
        "scikit-learn default": (1,),
        "scikit-learn tuned": (1,),
    }
