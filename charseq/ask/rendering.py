r"""Answers as lines: JSON, or text for a terminal, with the characters marked.

A mark is an escape sequence (ECMA-48, select graphic rendition). The characters have none of their
own any more: a control character in a sequence is shown as \x1b.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from itertools import groupby
from typing import Any, NamedTuple

from charseq.ask.answers import REASONS, Answer, Rejected
from charseq.console.terminal import escape_terminal
from charseq.measures.influence import influence_level, influence_scale

_LABEL_COLUMNS = 24
_SHOWN_LABELS = 3
_FEWEST_COLUMNS = 16
_MARKS = {"Mn", "Me", "Mc"}  # Combine with the character before them.
# Backgrounds from pale to strong, with black characters, of the 256 colours of xterm.
_FOR, _AGAINST = (194, 157, 114, 77), (224, 217, 210, 203)
_UNDERLINED = 0.5
_NO_ANSWER = "–"
# Of what is like the training, one in a hundred has this strangeness or more.
_STRANGE = 0.99
_END = "\x1b[0m"


class Marks(Enum):
    """How the influence of characters is shown: NONE where no terminal reads it."""

    NONE = 0
    UNDERLINE = 1
    COLOUR = 2


class Layout(NamedTuple):
    """How answers are shown to people.

    label_columns: of the column of labels. columns: of the terminal; None: of any length.
    """

    label_columns: int
    marks: Marks = Marks.NONE
    columns: int | None = None


class Cluster(NamedTuple):
    """A character with those that combine with it, as it is shown, and its greatest influence."""

    shown: str
    columns: int
    influence: float


def choose_marks(is_terminal: bool, environment: Mapping[str, str]) -> Marks:
    """Return how a stream shows influence; see https://no-color.org."""
    if not is_terminal or environment.get("TERM", "dumb") == "dumb":
        return Marks.NONE
    return Marks.UNDERLINE if environment.get("NO_COLOR") else Marks.COLOUR


def fit_labels(labels: Sequence[str]) -> int:
    """Return the columns that labels need, within reason."""
    return min(
        max((_columns(escape_terminal(label)) for label in labels), default=1), _LABEL_COLUMNS
    )


def to_json(answer: Answer | Rejected) -> str:
    """Return an answer as a JSON object, in ASCII and without a line break."""
    content: dict[str, Any] = {"sequence": answer.sequence}
    if isinstance(answer, Rejected):
        content["rejected"] = answer.reason
        return json.dumps(content)
    content |= {"label": answer.label, "probability": answer.probability}
    if answer.labels is not None:
        content["set"] = answer.labels
    if answer.strangeness is not None:
        content["strangeness"] = answer.strangeness
    if answer.influence is not None:
        if answer.read != answer.sequence:
            content["read"] = answer.read
        content["influence"] = answer.influence
    return json.dumps(content)


def to_lines(answers: Sequence[Answer | Rejected], layout: Layout) -> list[str]:
    """Return a line for each answer; the columns of all of them are as wide."""
    columns = [
        _fit_column([show(answer) for answer in answers]) for show in (_show_set, _show_strange)
    ]
    heads = [
        _head(answer, "".join(shown), layout.label_columns)
        for answer, *shown in zip(answers, *columns, strict=True)
    ]
    return [
        head + _tail(answer, _columns(head), layout)
        for answer, head in zip(answers, heads, strict=True)
    ]


def _fit_column(texts: Sequence[str]) -> list[str]:
    """Return texts as a column, two blanks before it; nothing if all of them are empty."""
    width = max(map(_columns, texts), default=0)
    return [f"  {_pad(text, width)}" if width else "" for text in texts]


def _head(answer: Answer | Rejected, middle: str, label_columns: int) -> str:
    if isinstance(answer, Rejected):
        label, probability = _NO_ANSWER, ""
    else:
        label, probability = answer.label, f"{100 * answer.probability:.1f} %"
    return f"{_pad(_shorten(label, label_columns), label_columns)}  {probability:>7}{middle}  "


def _tail(answer: Answer | Rejected, used: int, layout: Layout) -> str:
    if isinstance(answer, Rejected):
        return f"no answer: {REASONS[answer.reason]}"
    if answer.influence is None and layout.columns is None:
        return escape_terminal(answer.sequence)
    room = None if layout.columns is None else max(layout.columns - used, _FEWEST_COLUMNS)
    text = answer.sequence if answer.read is None else answer.read
    influence = answer.influence or (0.0,) * len(text)
    clusters = list(find_clusters(text, influence))
    if answer.is_cut:
        clusters.append(_ELLIPSIS)
    return mark(shorten(clusters, room), influence_scale(influence), layout.marks)


def find_clusters(text: str, influence: Sequence[float]) -> Iterator[Cluster]:
    """Yield the characters of a text, each with those that combine with it.

    An escape sequence between a letter and its accent would separate them.
    """
    start = 0
    for end in range(1, len(text) + 1):
        if end == len(text) or unicodedata.category(text[end]) not in _MARKS:
            shown = escape_terminal(text[start:end])
            strongest = max(influence[start:end], key=abs)
            yield Cluster(shown, _columns(shown), strongest)
            start = end


_ELLIPSIS = Cluster("…", 1, 0.0)


def shorten(clusters: Sequence[Cluster], room: int | None) -> list[Cluster]:
    """Return the part of a text that fits into `room` columns, with the most influential character.

    An … stands for what is left out at either end. None: all fits.
    """
    if room is None or sum(cluster.columns for cluster in clusters) <= room:
        return list(clusters)
    peak = max(range(len(clusters)), key=lambda place: abs(clusters[place].influence))
    start, end = _window(clusters, 0, room - 1)
    if end <= peak:
        start, end = _window(clusters, max(_start_before(clusters, peak, room // 2), 1), room - 2)
    before = [_ELLIPSIS] if start else []
    after = [_ELLIPSIS] if end < len(clusters) else []
    return [*before, *clusters[start:end], *after]


def _window(clusters: Sequence[Cluster], start: int, room: int) -> tuple[int, int]:
    """Return where as many clusters from `start` as fit begin and end."""
    end = start
    while end < len(clusters) and clusters[end].columns <= room:
        room -= clusters[end].columns
        end += 1
    return start, end


def _start_before(clusters: Sequence[Cluster], place: int, room: int) -> int:
    """Return the first of the clusters that fit into `room` columns before a place."""
    while place and clusters[place - 1].columns <= room:
        place -= 1
        room -= clusters[place].columns
    return place


def mark(clusters: Sequence[Cluster], scale: float, marks: Marks) -> str:
    """Return a text with its characters marked by their influence.

    Args:
        clusters: of the text.
        scale: the influence of a full colour, in nats.
        marks: how.
    """
    begin = {Marks.NONE: lambda _: "", Marks.UNDERLINE: _underline, Marks.COLOUR: _colour}[marks]
    runs = groupby(clusters, key=lambda cluster: begin(cluster.influence / scale))
    return "".join(
        f"{style}{''.join(cluster.shown for cluster in run)}{_END if style else ''}"
        for style, run in runs
    )


def _underline(share: float) -> str:
    return "\x1b[4m" if share >= _UNDERLINED else ""


def _colour(share: float) -> str:
    level = influence_level(share)
    colours = _FOR if level > 0 else _AGAINST
    return f"\x1b[30;48;5;{colours[abs(level) - 1]}m" if level else ""


def _show_set(answer: Answer | Rejected) -> str:
    """Return a set as {a, b}; of a large one the first labels and the number of the others."""
    if isinstance(answer, Rejected) or answer.labels is None:
        return ""
    names = [_shorten(label, _LABEL_COLUMNS) for label in answer.labels[:_SHOWN_LABELS]]
    more = len(answer.labels) - len(names)
    return f"{{{', '.join([*names, *([f'{more} more'] if more else [])])}}}"


def _show_strange(answer: Answer | Rejected) -> str:
    """Return a word for a sequence that is unlike those of the training."""
    if isinstance(answer, Rejected) or answer.strangeness is None:
        return ""
    return "strange" if answer.strangeness >= _STRANGE else ""


def _shorten(text: str, room: int) -> str:
    shown = escape_terminal(text)
    if _columns(shown) <= room:
        return shown
    clusters = list(find_clusters(shown, (0.0,) * len(shown)))
    _, end = _window(clusters, 0, room - 1)
    return f"{''.join(cluster.shown for cluster in clusters[:end])}…"


def _pad(text: str, columns: int) -> str:
    return text + " " * (columns - _columns(text))


def _columns(text: str) -> int:
    """Return the columns that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)
