"""Shared by all tests: TensorFlow kept quiet, Hypothesis patient."""

from __future__ import annotations

import os

from hypothesis import settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# A busy machine is no failure.
settings.register_profile("charseq", settings(), deadline=None)
settings.load_profile("charseq")
