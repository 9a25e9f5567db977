"""Deaths at a known moment, without a process that dies."""

from __future__ import annotations

from typing import Any

import pytest


class Killed(BaseException):
    """Stands for SIGKILL: no handler of the project may catch it."""


def kill_at_file_change(step: int, patch: pytest.MonkeyPatch) -> list[str]:
    """Raise `Killed` instead of the change of a file that comes after `step` others.

    Returns:
        The changes made so far ("rename", "delete" or "create"), growing as they happen.
    """
    # Not at the top: the tests of the trainer do without Beam.
    from apache_beam.io.filesystems import FileSystems

    done: list[str] = []

    def counted(name: str) -> Any:
        real = getattr(FileSystems, name)

        def change(*args: Any, **kwargs: Any) -> Any:
            if len(done) == step:
                raise Killed
            done.append(name)
            return real(*args, **kwargs)

        return change

    for name in ("rename", "delete", "create"):
        patch.setattr(FileSystems, name, counted(name))
    return done
