"""`report.html`: its numbers, and that no text of the input becomes markup."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from html.parser import HTMLParser
from typing import Any

import pytest

from pipeline.dataset.report import render_report
from pipeline.rows.rejected_files import RejectedFile
from pipeline.shards.ordering import AmbiguousSequence
from pipeline.shards.partition import PlannedShard
from pipeline.shards.write import ShardSummary

pytestmark = pytest.mark.unit

VOID = {"meta", "br"}
# What the page is made of; nothing here loads, runs or links.
TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "h1",
    "h2",
    "h3",
    "p",
    "small",
    "b",
    "i",
    "span",
    "div",
    "bdi",
    "br",
    "code",
    "ul",
    "li",
    "table",
    "thead",
    "tr",
    "th",
    "td",
    "details",
    "summary",
    "svg",
    "rect",
    "path",
    "line",
    "text",
}
EVIL = "<script>alert('x')</script>&amp;\"\x00\u202e"


class Page(HTMLParser):
    """The text of each section, the tags with their attributes, and bars by their width."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.sections: dict[str, str] = defaultdict(str)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self._title: str | None = None
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "h2":
            self._title = ""

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "h2" in self._open:
            self._title = data
        elif self._title and "title" not in self._open:
            self.sections[self._title] += f" {data}"

    def of_class(self, name: str) -> list[dict[str, str | None]]:
        return [attrs for _, attrs in self.tags if name in (attrs.get("class") or "").split()]

    def section(self, title: str) -> str:
        return re.sub(r"\s+", " ", self.sections[title]).strip()


def manifest(**changes: Any) -> dict[str, Any]:
    counts = {
        "read": 20_000,
        "train": 16_000,
        "validation": 2_000,
        "test": 1_997,
        "duplicates": 2,
        "rejected": 1,
        "rejected_by_reason": {"empty_sequence": 1},
        "truncated": 7,
        "ambiguous": 0,
        "unknown_characters": 0,
    }
    return {
        "fingerprint": "0123456789abcdef",
        "encoding": "ids",
        "max_length": 5,
        "unknown_id": 3,
        "alphabet": ["A", "C"],
        "labels": ["x", "y"],
        "shards": [{}],
        "counts": counts,
        "label_counts": {"train": {"x": 12_000, "y": 4_000}, "test": {"x": 1_997}},
        "inputs": [{"path": "rows.csv", "bytes": 1_234}],
        "options": {
            "input": ["rows.csv", "more.csv"],
            "output": "out",
            "too_long": "truncate",
            "num_shards": None,
            "seed": 7,
        },
        "versions": {"numpy": "2.1"},
        **changes,
    }


def shard(**changes: Any) -> ShardSummary:
    values: dict[str, Any] = {
        "shard": PlannedShard("train", 0, 1),
        "staged_path": "",
        "staged_index": "",
        "records": 0,
        "bytes": 0,
        "sha256": "",
        "duplicates": 0,
        "ambiguous": 0,
        "most_ambiguous": (),
        "label_counts": (),
        "label_weights": (),
        "length_counts": (),
        "id_counts": (0, 6, 3, 0),
        "unknown_characters": Counter(),
        "unknown_records": 0,
        "parity": (),
    }
    return ShardSummary(**{**values, **changes})


def rejected(index: int, *rows: tuple[str, int, str, str]) -> RejectedFile:
    names = ("source", "row", "reason", "raw")
    examples = tuple(dict(zip(names, row, strict=True)) for row in rows)
    return RejectedFile(index, "", Counter(), examples)


def render(
    described: dict[str, Any] | None = None,
    lengths: dict[int, int] | None = None,
    shards: tuple[ShardSummary, ...] = (shard(),),
    files: tuple[RejectedFile, ...] = (),
) -> Page:
    html = render_report(described or manifest(), lengths or {3: 9, 6: 1}, shards, files)
    assert "\x00" not in html
    assert not re.search(r"https?:|url\(|@import", html)
    page = Page(html)
    assert {tag for tag, _ in page.tags} <= TAGS
    allowed = {"class", "style", "title", "lang", "charset", "name", "content", "role"}
    for tag, attributes in page.tags:
        if tag not in ("svg", "rect", "path", "line", "text"):
            assert set(attributes) <= allowed
    return page


def test_rows_flow_in_proportion_and_tiny_shares_are_seen() -> None:
    page = render()
    assert page.section("Rows") == (
        "read 20,000 train 16,000 80.0 % validation 2,000 10.0 % test 1,997 10.0 % "
        "duplicates 2 0.01 % rejected 1 < 0.01 %"
    )
    heights = {
        attributes["class"]: float(attributes["height"] or 0)
        for tag, attributes in page.tags
        if tag == "rect" and attributes.get("transform")
    }
    assert heights == {"train": 176, "validation": 22, "test": 22, "duplicates": 2, "rejected": 2}


def test_notes_are_shown_where_the_rows_are() -> None:
    page = render(manifest(notes=[f"labels without a row: {EVIL}"]))
    assert "labels without a row: <script>" in page.sections["Rows"]


def test_rows_that_normalizing_changed_are_counted_where_the_rows_are() -> None:
    counts = {
        **manifest()["counts"],
        "normalized": {"sequence": {"nfc": 12}, "label": {"strip": 1}},
    }
    assert page_says(counts).endswith(
        "Before rows were compared, 12 sequences were changed by NFC, "
        "1 label was changed by --strip."
    )
    assert "Before rows" not in page_says({**counts, "normalized": {}})


def page_says(counts: dict[str, Any]) -> str:
    return render(manifest(counts=counts)).section("Rows")


def test_what_is_not_there_has_no_band() -> None:
    counts = {**manifest()["counts"], "read": 5, "train": 5, "validation": 0, "test": 0}
    counts |= {"duplicates": 0, "rejected": 0, "rejected_by_reason": {}}
    page = render(manifest(counts=counts, label_counts={"train": {"x": 4, "y": 1}}))
    assert page.section("Rows") == (
        "read 5 train 5 100 % validation 0 test 0 duplicates 0 rejected 0"
    )
    assert len(page.of_class("band")) == 1
    assert page.section("Rejected rows") == "None."
    assert page.section("Labels").startswith(
        "Records, and their share of the split. label all train x 4 80.0 % 4 80.0 % y 1 20.0 %"
    )


def test_lengths_before_the_cut() -> None:
    page = render(lengths={3: 90, 5: 4, 6: 4, 128: 2})
    text = page.section("Lengths before the cut")
    assert text.startswith(
        "Half of the sequences have at most 3 characters, 99 % at most 128, all at most 128. "
        "94 94.0 % kept whole 6 6.0 % cut to 5 "
    )
    assert "cut at 5" in text
    assert "characters rows share 3 90 90.0 % 5 4 4.0 % 6 4 4.0 % 65–128 2 2.0 %" in text
    columns = [
        (attributes["class"], float(attributes["height"] or 0))
        for tag, attributes in page.tags
        if tag == "rect" and attributes["class"] in ("kept", "cut")
    ]
    assert columns == [("kept", 156), ("kept", 6.9), ("cut", 6.9), ("cut", 3.5)]
    rejecting = {**manifest()["options"], "too_long": "reject"}
    text = render(manifest(options=rejecting)).section("Lengths before the cut")
    assert "1 10.0 % rejected as too_long" in text
    assert "too long from 6" in text


def test_characters_by_frequency_and_those_outside_apart() -> None:
    outside = Counter({"\u0410": 1, "é": 1, "\x00": 5, "<": 2, "\u200b": 1, "ש": 1})
    page = render(
        shards=(
            shard(id_counts=(50, 5, 20, 10), unknown_characters=outside),
            shard(id_counts=(50, 5, 59, 1), unknown_characters=Counter("é")),
        )
    )
    assert page.section("Characters") == (
        "Of the records as written: without duplicates, after the cut; 101 in all. "
        "C 79 78.2 % A 10 9.9 % "
        "Outside the alphabet 12 characters 11.9 % , 6 different; all become id 3. "
        "These bars have a scale of their own. "
        "\\x00 5 5.0 % U+0000 NULL < 2 2.0 % é 2 2.0 % U+00E9 LATIN SMALL LETTER E WITH ACUTE "
        "\u0410 1 0.99 % U+0410 CYRILLIC CAPITAL LETTER A ש 1 0.99 % U+05E9 HEBREW LETTER SHIN "
        "\\u200b 1 0.99 % U+200B ZERO WIDTH SPACE"
    )
    many = Counter({chr(0x4E00 + number): 100 - number for number in range(25)})
    text = render(shards=(shard(unknown_characters=many),)).section("Characters")
    assert text.endswith("and 5 others: 390 17.7 %")
    assert "No character is outside the alphabet." in render().section("Characters")


def test_ten_thousand_labels_are_the_most_frequent_and_a_line_for_the_rest() -> None:
    labels = [f"label {number}" for number in range(10_000)]
    train = dict.fromkeys(labels, 1) | {"label 9999": 51}
    test = {"label 7": 2, "label 9999": 2}
    html_of = manifest(labels=labels, label_counts={"train": train, "test": test})
    page = render(html_of)
    text = page.section("Labels")
    assert text.startswith(
        "Records, and their share of the split. label all train test "
        "label 9999 53 0.53 % 51 0.51 % 2 50.0 % label 7 3 0.03 % 1 < 0.01 % 2 50.0 % "
        "label 0 1 < 0.01 % 1 < 0.01 % 0 0 % label 1 "
    )
    assert text.endswith("9,970 other labels 9,970 99.2 % 9,970 99.2 % 0 0 %")
    assert len(page.tags) < 2_000


def test_the_most_ambiguous_sequences_of_all_shards() -> None:
    many = AmbiguousSequence("AC", 9, 30, (("x", 12), ("y", 9)))
    few = [AmbiguousSequence(f"A{n}", 2, 4, (("x", 3), ("y", 1))) for n in range(10)]
    counts = {**manifest()["counts"], "ambiguous": 11}
    shards = (shard(most_ambiguous=tuple(few)), shard(most_ambiguous=(many,)))
    pages = [render(manifest(counts=counts), shards=order) for order in (shards, shards[::-1])]
    text, other = (page.section("Sequences under several labels") for page in pages)
    assert text == other
    assert text.startswith(
        "11 sequences, compared as cut at 5. No model can be right about all their rows. Here are "
        "the first 10, in order of the number of labels; rows are counted as read, duplicates too. "
        "AC 9 labels, 30 rows: x 12 · y 9 · 7 more A0 2 labels, 4 rows: x 3 · y 1 A1 "
    )
    assert text.endswith("A8 2 labels, 4 rows: x 3 · y 1")
    assert render().section("Sequences under several labels") == "Every sequence has one label."


def test_rejected_rows_with_the_first_of_each_reason() -> None:
    counts = {**manifest()["counts"], "rejected": 5}
    counts["rejected_by_reason"] = {"invalid_json": 4, "empty_sequence": 1}
    files = (
        rejected(1, ("b.csv", 1_200, "invalid_json", "4th"), ("b.csv", 9, "empty_sequence", ",x")),
        rejected(0, *(("a.csv", row, "invalid_json", f"{row}th") for row in (1, 2, 3))),
    )
    text = render(manifest(counts=counts), files=files).section("Rejected rows")
    assert text == (
        "The first of each reason; all of them are in rejected/ . "
        "invalid_json 4 rows 0.02 % of all : not a JSON object whose sequence is text. "
        "a.csv , row 1 1th a.csv , row 2 2th a.csv , row 3 3th "
        "empty_sequence 1 row < 0.01 % of all : no character in the sequence, or nothing but "
        "blanks. b.csv , row 9 ,x"
    )


def test_where_it_came_from() -> None:
    inputs = [{"path": f"{number}.csv", "bytes": 10} for number in range(102)]
    page = render(manifest(inputs=inputs))
    text = page.section("Where it came from")
    assert text.startswith("fingerprint 0123456789abcdef 102 input files, 1,020 bytes file bytes")
    assert "99.csv 10 2 more, in dataset.json" in text
    assert text.endswith(
        "Options --input rows.csv more.csv --output out --too-long truncate --seed 7 "
        "Versions numpy 2.1"
    )


def test_text_of_the_input_is_never_markup() -> None:
    shown = "<script>alert('x')</script>&amp;\" \\x00 \\u202e"
    counts = {**manifest()["counts"], "ambiguous": 1}
    page = render(
        manifest(
            counts=counts,
            labels=[EVIL, "y"],
            label_counts={"train": {EVIL: 3, "y": 1}},
            inputs=[{"path": EVIL, "bytes": 1}],
            options={"input": [EVIL], "output": EVIL, "too_long": "truncate", "alphabet": EVIL},
        ),
        shards=(shard(most_ambiguous=(AmbiguousSequence(EVIL, 2, 2, ((EVIL, 1), ("y", 1))),)),),
        files=(rejected(0, (EVIL, 2, "empty_sequence", EVIL)),),
    )
    for section, times in (
        ("Labels", 1),
        ("Sequences under several labels", 2),
        ("Rejected rows", 2),
        ("Where it came from", 4),
    ):
        assert page.section(section).count(shown) == times, section
