"""The influence of characters on a label: its limit, and how strongly it is marked."""

from __future__ import annotations

import math
from collections.abc import Sequence

# A probability that float32 cannot hold counts as its least normal number: -87.3 nats.
LEAST_PROBABILITY = 2.0**-126
LEVELS = 4
# From these shares of the greatest influence of the text on, each.
_STEPS = (0.1, 0.3, 0.55, 0.8)
# Where no character matters much none has a full colour, which is a probability that falls by a
# tenth, or more.
_LEAST_SCALE = -math.log(0.9)


def influence_scale(influence: Sequence[float]) -> float:
    """Return the influence of a full colour in a text, in nats."""
    return max(max(map(abs, influence), default=0), _LEAST_SCALE)


def influence_level(share: float) -> int:
    """Return how strong a share of the scale is: 1 to 4 for the label, -1 to -4 against it."""
    level = sum(abs(share) >= step for step in _STEPS)
    return level if share > 0 else -level
