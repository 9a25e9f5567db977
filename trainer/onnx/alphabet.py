"""`alphabet.json`: what turns text into the ids of a model, and its answers into labels."""

from __future__ import annotations

from typing import Any

from charseq.manifest import Manifest
from charseq.text.normalization import BLANKS
from charseq.text.text_graph import COMPOSITIONS

FORMAT_VERSION = 1


def describe_alphabet(manifest: Manifest) -> dict[str, Any]:
    """Return the content of `alphabet.json`.

    characters: in the order of their ids, from 1. normalize: nfc or none. compositions: what is
    replaced after lowercase, in order; none without it. strip: what is removed at both ends, one
    string of characters. labels: in the order of the probabilities.
    """
    normalization = manifest.normalization
    return {
        "format_version": FORMAT_VERSION,
        "characters": manifest.alphabet,
        "padding_id": manifest.padding_id,
        "unknown_id": manifest.unknown_id,
        "max_length": manifest.max_length,
        "normalize": "nfc" if normalization.nfc else "none",
        "lowercase": normalization.lowercase,
        "compositions": COMPOSITIONS if normalization.lowercase else {},
        "strip": BLANKS if normalization.strip else "",
        "labels": manifest.labels,
    }
