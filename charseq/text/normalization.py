"""Which texts count as the same: NFC, lowercase where wanted, nothing blank at either end.

NFC is done where text enters, in Python: TensorFlow has no operation for it. Lowercase and strip
are in `charseq.text.text_graph`, for the transform graph and all that must agree with it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# What is removed at both ends: white space (Unicode's Z and the ASCII controls), and characters
# without a width that spreadsheets and web pages leave behind.
BLANKS = (
    "\t\n\v\f\r \u0085\u00a0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b"
    "\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
)
UNICODE_VERSION = unicodedata.unidata_version
# The options of a dataset that was prepared before there were any: text as it was read.
OPTIONS_OF_EARLIER_DATASETS: Mapping[str, Any] = {
    "normalize": "none",
    "lowercase": False,
    "strip": False,
}


@dataclass(frozen=True)
class Normalization:
    """What is done to a text, in this order; with `strip` also after it is cut."""

    nfc: bool
    lowercase: bool
    strip: bool

    @staticmethod
    def from_options(options: Mapping[str, Any]) -> Normalization:
        """Return what `options` of a `dataset.json` say."""
        known = {**OPTIONS_OF_EARLIER_DATASETS, **options}
        return Normalization(known["normalize"] == "nfc", known["lowercase"], known["strip"])

    def before_graph(self, texts: Sequence[str]) -> list[str]:
        """Return raw texts as the transform graph, and so an exported model, expects them."""
        return to_nfc(texts) if self.nfc else list(texts)

    def changes(self, text: str) -> bool:
        """Return whether a text changes; lowercase goes by Python, which knows all that may."""
        return (
            (self.nfc and not unicodedata.is_normalized("NFC", text))
            or (self.lowercase and text != text.lower())
            or (self.strip and text != text.strip(BLANKS))
        )


def to_nfc(texts: Sequence[str]) -> list[str]:
    """Return texts in Unicode's normalization form C."""
    # One look at all of them, because nearly all text is in NFC. A newline composes with nothing.
    if unicodedata.is_normalized("NFC", "\n".join(texts)):
        return list(texts)
    return [unicodedata.normalize("NFC", text) for text in texts]
