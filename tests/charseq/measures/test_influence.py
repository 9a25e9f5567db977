from __future__ import annotations

import math

import pytest

from charseq.measures.influence import influence_level, influence_scale

pytestmark = pytest.mark.unit


def test_the_greatest_influence_has_the_full_colour_unless_it_is_small():
    assert influence_scale([0.5, -2.0, 1.0]) == 2
    assert influence_scale([0.01, 0.0]) == pytest.approx(-math.log(0.9))
    assert influence_scale([]) == pytest.approx(-math.log(0.9))


def test_levels_are_signed():
    shares = (0.0, 0.09, 0.1, 0.3, -0.3, 0.55, 0.8, 1.0, -1.0)
    assert list(map(influence_level, shares)) == [0, 0, 1, 2, -2, 3, 4, 4, -4]
