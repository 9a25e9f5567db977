"""Which texts are the same text."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from charseq.text.normalization import BLANKS, Normalization, to_nfc

pytestmark = pytest.mark.unit

NFC_AND_STRIP = Normalization(nfc=True, lowercase=False, strip=True)


def test_blanks_are_white_space_and_what_has_no_width() -> None:
    characters = [chr(code) for code in range(sys.maxunicode + 1)]
    separators = [c for c in characters if unicodedata.category(c).startswith("Z")]
    others = ["\t", "\n", "\v", "\f", "\r", "\x85", "\u200b", "\u2060", "\ufeff"]
    assert set(BLANKS) == {*separators, *others}


def test_texts_become_nfc_one_by_one() -> None:
    texts = ["francais", "franc\u0327ais", "", "e", "\u0301", "a\nb", "\u212b", "\u1100\u1161"]
    assert to_nfc(texts) == ["francais", "fran\xe7ais", "", "e", "\u0301", "a\nb", "\xc5", "\uac00"]
    assert to_nfc(["\xe9", "e"]) == ["\xe9", "e"]


@pytest.mark.parametrize(
    ("options", "normalization"),
    [
        ({"seed": 0}, Normalization(nfc=False, lowercase=False, strip=False)),
        ({"normalize": "nfc", "lowercase": True, "strip": False}, Normalization(True, True, False)),
        (
            {"normalize": "none", "lowercase": False, "strip": True},
            Normalization(False, False, True),
        ),
    ],
)
def test_options_of_a_dataset(options: dict[str, object], normalization: Normalization) -> None:
    assert Normalization.from_options(options) == normalization


def test_only_nfc_is_done_before_the_graph() -> None:
    assert NFC_AND_STRIP.before_graph([" e\u0301 A"]) == [" \xe9 A"]
    assert Normalization(False, True, True).before_graph([" e\u0301 A"]) == [" e\u0301 A"]


@pytest.mark.parametrize(
    ("text", "normalization", "changes"),
    [
        ("a b", NFC_AND_STRIP, False),
        ("A", NFC_AND_STRIP, False),
        ("A", Normalization(False, True, False), True),
        ("a\xa0", NFC_AND_STRIP, True),
        ("a\xa0", Normalization(True, True, False), False),
        ("e\u0301", NFC_AND_STRIP, True),
        ("e\u0301", Normalization(False, True, True), False),
    ],
)
def test_what_changes(text: str, normalization: Normalization, changes: bool) -> None:
    assert normalization.changes(text) is changes
