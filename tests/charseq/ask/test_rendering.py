from __future__ import annotations

import json

import pytest

from charseq.ask.answers import Answer, Rejected
from charseq.ask.rendering import (
    Layout,
    Marks,
    choose_marks,
    find_clusters,
    fit_labels,
    mark,
    shorten,
    to_json,
    to_lines,
)

pytestmark = pytest.mark.unit

INFLUENCE = (1.0, -0.5, 0.2, 0.0, -1.0, 0.6)
COLOURED = (
    "\x1b[30;48;5;77mA\x1b[0m\x1b[30;48;5;217mB\x1b[0m\x1b[30;48;5;194mC\x1b[0mD"
    "\x1b[30;48;5;203mE\x1b[0m\x1b[30;48;5;114mF\x1b[0m"
)


def marked(text: str, influence: tuple[float, ...], marks: Marks, scale: float = 1.0) -> str:
    return mark(list(find_clusters(text, influence)), scale, marks)


def test_characters_are_green_for_the_label_and_red_against_it() -> None:
    assert marked("ABCDEF", INFLUENCE, Marks.COLOUR) == COLOURED


def test_without_colour_the_most_influential_are_underlined() -> None:
    assert marked("ABCDEF", INFLUENCE, Marks.UNDERLINE) == "\x1b[4mA\x1b[0mBCDE\x1b[4mF\x1b[0m"
    assert marked("ABCDEF", INFLUENCE, Marks.NONE) == "ABCDEF"


def test_neighbours_of_one_colour_share_an_escape_sequence() -> None:
    assert marked("ABC", (0.9, 1, 0), Marks.COLOUR) == "\x1b[30;48;5;77mAB\x1b[0mC"


def test_a_mark_never_comes_between_a_letter_and_its_accents() -> None:
    found = list(find_clusters("e\u0301\u0302xé", (0.1, -0.9, 0.3, 0.5, 0.0)))
    assert [tuple(one) for one in found] == [
        ("e\u0301\u0302", 1, -0.9),
        ("x", 1, 0.5),
        ("é", 1, 0.0),
    ]


def test_no_character_of_a_sequence_controls_the_terminal() -> None:
    text = "A\x1b[2J\u202eB\n"
    assert marked(text, (0.0,) * 6 + (1.0, 0.0), Marks.COLOUR) == (
        "A\\x1b[2J\\u202e\x1b[30;48;5;77mB\x1b[0m\\n"
    )


def test_a_line_has_label_probability_set_and_sequence_in_columns() -> None:
    answers: list[Answer | Rejected] = [
        Answer("AB", "alpha", 0.987654, ("alpha",)),
        Rejected("  ", "empty_sequence"),
        Answer("日本", "β\x07", 0.04, ("β\x07", "b", "c", "d", "e")),
    ]
    assert to_lines(answers, Layout(fit_labels(["alpha", "β\x07"]))) == [
        "alpha   98.8 %  {alpha}                AB",
        "–                                      no answer: no character in the sequence, or "
        "nothing but blanks",
        "β\\x07    4.0 %  {β\\x07, b, c, 2 more}  日本",
    ]


def test_without_sets_there_is_no_column_for_them() -> None:
    answers = [Answer("AB", "x", 1.0)]
    assert to_lines(answers, Layout(3)) == ["x    100.0 %  AB"]


def test_weak_influence_is_pale_however_it_compares() -> None:
    answer = Answer("AB", "x", 1.0, None, "AB", (0.02, -0.001))
    assert to_lines([answer], Layout(1, Marks.COLOUR)) == ["x  100.0 %  \x1b[30;48;5;194mA\x1b[0mB"]


def test_what_the_model_does_not_read_is_left_out_where_it_is_explained() -> None:
    answer = Answer(" abcdefgh", "x", 0.5, None, "ABCDEF", INFLUENCE, is_cut=True)
    assert to_lines([answer], Layout(1, Marks.COLOUR)) == [f"x   50.0 %  {COLOURED}…"]


@pytest.mark.parametrize(
    ("peak", "shown"),
    [
        (0, "ABCDEFGHIJKLMNOPQRS…"),
        (18, "ABCDEFGHIJKLMNOPQRS…"),
        (19, "…JKLMNOPQRSTUVWXYZ…"),
        (25, "…PQRSTUVWXYZ日本語"),
    ],
)
def test_a_long_sequence_is_shortened_around_what_matters_most(peak: int, shown: str) -> None:
    text = "ABCDEFGHIJKLMNOPQRSTUVWXYZ日本語"
    influence = [0.0] * len(text)
    influence[peak] = -1.0
    clusters = shorten(list(find_clusters(text, influence)), 20)
    assert "".join(cluster.shown for cluster in clusters) == shown
    assert sum(cluster.columns for cluster in clusters) <= 20


def test_a_line_fits_the_terminal() -> None:
    lines = to_lines([Answer("A" * 99, "x", 0.5)], Layout(1, Marks.NONE, 40))
    assert lines == [f"x   50.0 %  {'A' * 27}…"]


def test_long_labels_are_cut_in_columns_and_whole_in_json() -> None:
    answer = Answer("A", "y" * 40, 0.5)
    assert fit_labels(["y" * 40, "x"]) == 24
    assert to_lines([answer], Layout(24)) == [f"{'y' * 23}…   50.0 %  A"]
    assert json.loads(to_json(answer))["label"] == "y" * 40


def test_json_has_what_was_asked_for() -> None:
    assert to_json(Answer("A\x1bé", "x", 0.25)) == (
        '{"sequence": "A\\u001b\\u00e9", "label": "x", "probability": 0.25}'
    )
    assert to_json(Answer("a", "x", 0.25, ("x", "y"), "A", (-0.5,), strangeness=0.75)) == (
        '{"sequence": "a", "label": "x", "probability": 0.25, "set": ["x", "y"], '
        '"strangeness": 0.75, "read": "A", "influence": [-0.5]}'
    )
    assert to_json(Rejected("", "empty_sequence")) == (
        '{"sequence": "", "rejected": "empty_sequence"}'
    )


@pytest.mark.parametrize(
    ("is_terminal", "environment", "marks"),
    [
        (True, {"TERM": "xterm-256color"}, Marks.COLOUR),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, Marks.UNDERLINE),
        (True, {"TERM": "xterm", "NO_COLOR": ""}, Marks.COLOUR),
        (True, {"TERM": "dumb"}, Marks.NONE),
        (True, {}, Marks.NONE),
        (False, {"TERM": "xterm"}, Marks.NONE),
    ],
)
def test_marks_are_those_that_the_output_can_show(
    is_terminal: bool, environment: dict[str, str], marks: Marks
) -> None:
    assert choose_marks(is_terminal, environment) is marks


def test_what_is_strange_says_so_in_a_column() -> None:
    answers: list[Answer | Rejected] = [
        Answer("ABC", "alpha", 0.5, strangeness=0.98),
        Answer("???", "beta", 0.9, strangeness=0.99),
        Rejected("", "empty_sequence"),
    ]
    assert to_lines(answers, Layout(5)) == [
        "alpha   50.0 %           ABC",
        "beta    90.0 %  strange  ???",
        "–                        no answer: no character in the sequence, or nothing but blanks",
    ]
    assert to_lines(answers[:1], Layout(5)) == ["alpha   50.0 %  ABC"]
