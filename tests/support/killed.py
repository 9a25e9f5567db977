"""Deaths at a known moment, without a process that dies."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest


class Killed(BaseException):
    """Stands for SIGKILL: no handler of the project may catch it."""


def kill_at_file_change(step: int, patch: pytest.MonkeyPatch) -> list[str]:
    """Raise `Killed` instead of the change of a file that comes after `step` others.

    Returns:
        The changes made so far, growing as they happen.
    """

    def die(number: int) -> None:
        if number == step:
            raise Killed

    return before_each_file_change(die, patch)


def before_each_file_change(do: Callable[[int], None], patch: pytest.MonkeyPatch) -> list[str]:
    """Call `do` with the number of changes made so far before each change of a local file.

    Returns:
        The changes made so far ("rename", "link", "remove", "create", …), growing as they happen.
    """
    # Not at the top: the tests of the trainer do without Beam.
    from pipeline.runtime import filesystems

    done: list[str] = []

    def counted(owner: Any, name: str) -> Any:
        real = getattr(owner, name)

        def change(*args: Any, **kwargs: Any) -> Any:
            do(len(done))
            done.append(name)
            return real(*args, **kwargs)

        return change

    for name in ("rename", "replace", "link", "remove", "rmdir"):
        patch.setattr(os, name, counted(os, name))
    patch.setattr(filesystems, "create", counted(filesystems, "create"))
    return done
