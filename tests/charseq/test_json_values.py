from __future__ import annotations

from dataclasses import dataclass

import pytest

from charseq.json_values import build


@dataclass(frozen=True)
class Part:
    name: str
    share: float = 0.5


@dataclass(frozen=True)
class Whole:
    rows: int
    parts: tuple[Part, ...]
    note: str | None = None
    shares: tuple[float, ...] | None = None


@pytest.mark.unit
def test_values_become_those_of_the_annotations() -> None:
    content = {"rows": 3, "parts": [{"name": "a"}, {"name": "b", "share": 1}], "shares": [0.25, 2]}
    assert build(Whole, content) == Whole(3, (Part("a", 0.5), Part("b", 1.0)), None, (0.25, 2.0))
    assert build(Whole, {"rows": 3, "parts": [], "note": None}) == Whole(3, ())


@pytest.mark.unit
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rows": "3"}, "rows: got '3', expected int"),
        ({"rows": True}, "rows: got True, expected int"),
        ({"rows": 3.0}, "rows: got 3.0, expected int"),
        ({"parts": {}}, "parts: got dict, expected a list"),
        ({"parts": ["a"]}, "got 'a', expected an object"),
        ({"parts": [{"name": None}]}, "name: got None, expected str"),
        ({"parts": [{"name": "a", "share": float("nan")}]}, "share: got nan, expected a finite"),
        ({"shares": [10**400]}, "shares: got 1000.* expected a finite number"),
        ({"note": 1}, "note: got 1, expected str"),
        ({"more": 1}, "unexpected keyword argument 'more'"),
    ],
)
def test_values_of_other_kinds_are_refused(change, said) -> None:
    with pytest.raises(TypeError, match=said):
        build(Whole, {"rows": 3, "parts": [], **change})
