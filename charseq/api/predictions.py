"""What a model says about sequences, as arrays and as HTML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_SHOWN_ROWS = 10
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True, eq=False, repr=False)
class Predictions:
    """The labels of sequences, and how probable they are.

    sequences: (rows,), as they were given. labels: (rows,) object, the most probable label of each
    as text. probability: (rows,) float32, that of the label. probabilities: (rows, labels) float32,
    of all labels, in the order of `Model.labels`. strangeness: (rows,) float32, the share of the
    validation rows that are less strange, 0 to 1; None of a model that had none.
    """

    sequences: tuple[str, ...]
    labels: npt.NDArray[np.object_]
    probability: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float32]
    strangeness: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.sequences)

    def __repr__(self) -> str:
        shown = zip(self.labels[:3], self.probability[:3], strict=True)
        first = ", ".join(f"{label!r} {probability:.0%}" for label, probability in shown)
        more = ", …" if len(self) > 3 else ""
        return f"<charseq.Predictions of {len(self):,} sequences: {first}{more}>"

    def _repr_html_(self) -> str:
        from charseq.html import render

        rows = zip(self.sequences, self.labels, map(float, self.probability), strict=True)
        return render(
            "notebook_predictions.html",
            rows=[row for row, _ in zip(rows, range(_SHOWN_ROWS), strict=False)],
            more=len(self) - _SHOWN_ROWS,
        )


@dataclass(frozen=True, eq=False, repr=False)
class Explanations:
    """How much each character of sequences speaks for the label that the model gives them.

    sequences: (rows,), the characters that the model reads: normalized and cut at max_length.
    labels: (rows,) object, text. log_probability: (rows,) float32, of the label, in nats.
    influence: (rows, max_length) float32, by position, in nats: above 0 for the label, below 0
    against it. length: (rows,) int64, characters; positions from there on are padding.
    """

    sequences: tuple[str, ...]
    labels: npt.NDArray[np.object_]
    log_probability: npt.NDArray[np.float32]
    influence: npt.NDArray[np.float32]
    length: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.sequences)

    def __repr__(self) -> str:
        return f"<charseq.Explanations of {len(self):,} sequences>"

    def _repr_html_(self) -> str:
        from charseq.html import render

        rows: list[dict[str, Any]] = []
        for row in range(min(len(self), _SHOWN_ROWS)):
            influence = self.influence[row].tolist()
            scale = max(map(abs, influence), default=0.0) or 1.0
            characters = self.sequences[row][:_SHOWN_CHARACTERS]
            rows.append(
                {
                    "label": self.labels[row],
                    "log_probability": float(self.log_probability[row]),
                    "characters": [
                        (character, value, value / scale)
                        for character, value in zip(characters, influence, strict=False)
                    ],
                    "more": len(self.sequences[row]) - _SHOWN_CHARACTERS,
                }
            )
        return render("notebook_explanations.html", rows=rows, more=len(self) - _SHOWN_ROWS)
