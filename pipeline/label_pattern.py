"""The regular expression that finds the label in a header of FASTA."""

from __future__ import annotations

import re

# The last field after a bar or white space; without one there is no label.
DEFAULT_LABEL_PATTERN = r"[|\s]([^|\s]+)\s*$"
LABEL_GROUP = "label"
# An escape, a class of characters, or the start of a group that captures.
_PATTERN_TOKEN = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?!\?)|\(\?P<\w+>", re.DOTALL)


def to_named_pattern(pattern: str) -> str:
    """Return a pattern of RE2 whose first group, or all of it if it has none, is named.

    Raises:
        ValueError: it is no regular expression of RE2.
    """
    import pyarrow as pa  # Late: it takes a moment that --help has not.
    import pyarrow.compute as pc

    groups = 0

    def name(token: re.Match[str]) -> str:
        nonlocal groups
        if not token[0].startswith("("):
            return token[0]
        groups += 1
        return f"(?P<{LABEL_GROUP}>" if groups == 1 else "(?:"

    named = _PATTERN_TOKEN.sub(name, pattern)
    if not groups:
        named = f"(?P<{LABEL_GROUP}>{pattern})"
    try:
        pc.extract_regex(pa.array([""]), named)
    except pa.ArrowInvalid as error:
        raise ValueError(
            f"got {pattern!r}, expected a regular expression of RE2: {error}"
        ) from None
    return named


def parse_label_pattern(text: str) -> str:
    """Return the pattern.

    Raises:
        ValueError: it is no regular expression.
    """
    to_named_pattern(text)
    return text
