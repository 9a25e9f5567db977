"""The options of a plan: what a preparation will make and take, before it runs."""

from __future__ import annotations

from dataclasses import dataclass

from charseq.flags import flag, validate
from pipeline.input_options import switch


@dataclass(frozen=True)
class PlanOptions:
    """What is asked of a plan.

    Raises:
        UsageError: a value is outside the limits of its flag, or needs another.
    """

    plan: bool = switch(
        "read a sample of 100,000 rows and print what the whole input will make and take: rows, "
        "bytes, seconds, memory, and core hours of a cluster; nothing is written",
        default=False,
    )
    core_hour_price: float | None = flag(
        "what an hour of a core costs, in any currency, for the price of a cluster",
        default=None,
        metavar="PRICE",
        minimum=0,
        only_with="plan",
    )

    def __post_init__(self) -> None:
        validate(self)
