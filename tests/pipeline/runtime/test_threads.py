"""Work of a DoFn in threads: its order, and a bundle that fails and is tried again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from apache_beam.pvalue import TaggedOutput

from pipeline.runtime.threads import ThreadedDoFn

pytestmark = pytest.mark.unit

ELEMENTS = list(range(100))


class Double(ThreadedDoFn):
    """An integer to its double; to `odd` the odd integers."""

    def __init__(self, work: Callable[[int], int]) -> None:
        self._work = work

    def process(self, element: int) -> Iterator[Any]:
        yield from self.submit(self._work, element)

    def emit(self, result: int) -> Iterator[Any]:
        yield 2 * result
        if result % 2:
            yield TaggedOutput("odd", result)


def run_bundle(dofn: Double, elements: list[int]) -> tuple[list[int], list[int]]:
    """Return the main outputs of a bundle, and those with the tag `odd`."""
    dofn.start_bundle()
    outputs = [output for element in elements for output in dofn.process(element)]
    main = [output for output in outputs if not isinstance(output, TaggedOutput)]
    odd = [output.value for output in outputs if isinstance(output, TaggedOutput)]
    for output in dofn.finish_bundle():
        if isinstance(output, TaggedOutput):
            odd.append(output.value.value)
        else:
            main.append(output.value)
    return main, odd


def test_outputs_come_in_the_order_of_the_elements() -> None:
    def slow_if_even(element: int) -> int:
        time.sleep(0.002 * (element % 2 == 0))
        return element

    main, odd = run_bundle(Double(slow_if_even), ELEMENTS)
    assert main == [2 * element for element in ELEMENTS]
    assert odd == ELEMENTS[1::2]


@pytest.mark.parametrize("failing", [0, 60, 99])
def test_a_bundle_that_failed_and_is_tried_again_gives_every_row_once(failing: int) -> None:
    calls: list[int] = []

    def fail_the_first_time(element: int) -> int:
        calls.append(element)
        if element == failing and calls.count(element) == 1:
            raise OSError("a disk is full")
        return element

    dofn = Double(fail_the_first_time)
    with pytest.raises(OSError, match="a disk is full"):
        run_bundle(dofn, ELEMENTS)
    main, odd = run_bundle(dofn, ELEMENTS)
    assert main == [2 * element for element in ELEMENTS]
    assert odd == ELEMENTS[1::2]


def test_a_bundle_after_a_failed_one_gives_none_of_its_rows() -> None:
    def fail_at_five(element: int) -> int:
        if element == 5:
            raise OSError("a disk is full")
        return element

    dofn = Double(fail_at_five)
    with pytest.raises(OSError, match="a disk is full"):
        run_bundle(dofn, [1, 5, 3])
    assert run_bundle(dofn, [4, 6]) == ([8, 12], [])
