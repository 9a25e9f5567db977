"""For Beam's --setup_file, which runs `setup.py sdist`; everything it says is in pyproject.toml."""

from __future__ import annotations

from setuptools import setup

setup()
