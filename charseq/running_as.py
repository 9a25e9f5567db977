"""The name of the command that this process runs, as its user typed it."""

from __future__ import annotations

_typed: str | None = None


def run_as(name: str) -> None:
    """Let help and messages name the command `name`."""
    global _typed
    _typed = name


def program_name(module_command: str) -> str:
    """Return what the user typed; `module_command`, as `python -m pipeline`, if that is it."""
    return _typed or module_command
