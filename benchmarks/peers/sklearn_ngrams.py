"""Train scikit-learn's linear models on n-grams of characters, with a mark at both ends.

Logistic regression on tf-idf; where rows times labels are many, one linear model for each label,
trained by stochastic gradient descent, on hashed n-grams.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.pipeline import make_pipeline

from benchmarks.peers.classification import Peer, Predict, Settings, mean_length, run
from benchmarks.quality.rows import Row

_LONG = 100  # characters
_MANY = 2_000_000  # rows × labels
_FEW_ROWS = 10_000
_FEATURES = 1 << 20
_PASSES = 8


def _are_many(rows: Sequence[Row]) -> bool:
    return len(rows) * len({row.label for row in rows}) > _MANY


def choose_default(rows: Sequence[Row]) -> Settings:
    """The settings of scikit-learn itself, n-grams up to 3; with many rows up to 4."""
    return {"n": 4, "alpha": 1e-6} if _are_many(rows) else {"n": 3, "C": 1.0}


def make_grid(rows: Sequence[Row]) -> list[Settings]:
    """Settings around those that are usual for so many rows."""
    if _are_many(rows):
        return [{"n": n, "alpha": alpha} for n in (4, 5) for alpha in (1e-6, 5e-6)]
    longest = (2, 3) if mean_length(rows) > _LONG else (2, 3, 4)
    return [{"n": n, "C": c} for n in longest for c in (1.0, 10.0)]


def fit(rows: Sequence[Row], settings: Settings, seed: int, threads: int) -> Predict:
    """Train the model that the settings are of."""
    ngrams = {"analyzer": "char", "ngram_range": (1, settings["n"]), "lowercase": False}
    if "alpha" in settings:
        features = HashingVectorizer(n_features=_FEATURES, **ngrams)
        classifier = SGDClassifier(
            loss="modified_huber",
            alpha=settings["alpha"],
            max_iter=_PASSES,
            tol=None,
            n_jobs=threads,
            random_state=seed,
        )
    else:
        least = 1 if len(rows) < _FEW_ROWS else 2
        features = TfidfVectorizer(sublinear_tf=True, min_df=least, **ngrams)
        classifier = LogisticRegression(C=settings["C"], max_iter=1000)
    model = make_pipeline(features, classifier)
    model.fit([_mark(row.sequence) for row in rows], [row.label for row in rows])

    def predict(sequences: Sequence[str]) -> list[str]:
        return [str(label) for label in model.predict([_mark(one) for one in sequences])]

    return predict


def _mark(sequence: str) -> str:
    return f"^{sequence}$"


if __name__ == "__main__":
    sys.exit(run(Peer(choose_default, make_grid, fit), None, __doc__))
