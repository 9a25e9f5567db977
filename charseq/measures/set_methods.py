"""The methods of sets of labels, for command lines; `charseq.measures.conformal` describes them."""

from __future__ import annotations

LAC, APS = "lac", "aps"
SET_METHODS = (LAC, APS)
