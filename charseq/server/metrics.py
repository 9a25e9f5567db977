"""What /metrics counts, for Prometheus.

How far what is asked is from the training data is measured by its strangeness, which is spread
evenly over 0 to 1 for rows like those of the training. `population_stability_index` compares the
shares of its ten tenths among the last rows with a tenth each.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import numpy as np
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from charseq.server.model.messages import Counted

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STRANGE = 0.99
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_TENTHS = 10
# Rows that the distance is of, and the fewest of which it is said.
_LAST_ROWS, _FEWEST_ROWS = 10_000, 200


def population_stability_index(tenths: Sequence[int]) -> float:
    """Return how far counts by tenth of strangeness are from equal ones; NaN for too few rows.

    The sum of (share - expected) ln(share / expected), with half a row added to each tenth. Below
    0.1 is commonly taken as no change, and above 0.25 as a large one.
    """
    if sum(tenths) < _FEWEST_ROWS:
        return math.nan
    counts = np.asarray(tenths) + 0.5
    shares, expected = counts / counts.sum(), 1 / _TENTHS
    return float(((shares - expected) * np.log(shares / expected)).sum())


class LastRows:
    """The strangeness of the last rows, as counts of its ten tenths."""

    def __init__(self) -> None:
        self._batches: deque[np.ndarray] = deque()
        self._sum = np.zeros(_TENTHS, np.int64)

    def add(self, strangeness: np.ndarray) -> None:
        """Add the rows of a batch, (rows,) float32, and forget the oldest beyond 10,000 rows."""
        counts, _ = np.histogram(strangeness, _TENTHS, (0, 1))
        self._batches.append(counts)
        self._sum += counts
        while self._sum.sum() - self._batches[0].sum() >= _LAST_ROWS:
            self._sum -= self._batches.popleft()

    def distance(self) -> float:
        """Return the population stability index of these rows."""
        return population_stability_index(self._sum.tolist())


class Metrics:
    """The metrics of a server."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # The time of each counter's first use.
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "charseq_requests", "Requests", ["path", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "charseq_request_seconds",
            "From the headers of a request to the end of its answer",
            ["path"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._batch_rows = Histogram(
            "charseq_batch_rows",
            "Rows computed at once",
            buckets=_ROWS,
            registry=self.registry,
        )
        self._rows = self._counter("rows", "Rows computed, of any signature")
        self._labelled = self._counter("labelled_rows", "Rows of serving_default and /ask")
        self._labels = Counter("charseq_labels", "Labels given", ["label"], registry=self.registry)
        self._characters = self._counter("characters", "Characters of the labelled rows, as read")
        self._unknown = self._counter("unknown_characters", "Those outside the alphabet")
        self._strange = self._counter("strange_rows", f"Rows of a strangeness of {STRANGE} or more")
        self._last_rows = LastRows()
        Gauge(
            "charseq_distance_from_training",
            f"Population stability index of the strangeness of the last {_LAST_ROWS} rows",
            registry=self.registry,
        ).set_function(self._last_rows.distance)
        self._version = Gauge(
            "charseq_model_version", "The version that answers", registry=self.registry
        )
        self._loads = Counter(
            "charseq_version_loads",
            "Versions loaded, or refused",
            ["outcome"],
            registry=self.registry,
        )
        for outcome in ("loaded", "refused"):
            self._loads.labels(outcome)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(f"charseq_{name}", text, registry=self.registry)

    def note_request(self, path: str, status: int, seconds: float) -> None:
        """Count a request; path: that of its route, not as it came."""
        self._requests.labels(path, status).inc()
        self._seconds.labels(path).observe(seconds)

    def note_batch(self, rows: int, counted: Counted | None, labels: Sequence[str]) -> None:
        """Count a batch; labels: of the model, by number."""
        self._batch_rows.observe(rows)
        self._rows.inc(rows)
        if counted is None:
            return
        for number, times in counted.labels.items():
            self._labelled.inc(times)
            if number >= 0:
                self._labels.labels(labels[number]).inc(times)
        self._characters.inc(counted.characters)
        self._unknown.inc(counted.unknown)
        if len(counted.strangeness):
            self._strange.inc(int((counted.strangeness >= STRANGE).sum()))
            self._last_rows.add(counted.strangeness)

    def note_version(self, number: int) -> None:
        """Note which version answers from now on."""
        self._loads.labels("loaded").inc()
        self._version.set(number)

    def note_refused(self) -> None:
        """Count a version that was refused."""
        self._loads.labels("refused").inc()

    def page(self) -> bytes:
        """Return all of it in Prometheus's text format."""
        return generate_latest(self.registry)
