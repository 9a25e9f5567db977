"""The Beam steps that join facts of rows, by ranges of hashes, to a SplitPlan.

Each step that waits for all of another has an impulse of its own: Beam's local runner stops for
ever where a step that others wait for shares its input with a step that waits for those.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import apache_beam as beam
from apache_beam.pvalue import AsList, AsSingleton

from pipeline.base import Base
from pipeline.options import Options
from pipeline.rows.spilling import Packed
from pipeline.runtime import progress
from pipeline.runtime.threads import ThreadedDoFn
from pipeline.split import based, based_groups, given, groups, similar, strata


def join_facts(facts: beam.PCollection, options: Options) -> beam.PCollection:
    """Return one SplitPlan from the facts of all blocks."""
    ranges = facts | "GroupByRange" >> beam.GroupByKey()
    if options.splits.stratify:
        return _join_strata(ranges, options)
    if options.splits.group_column is not None:
        return _join_groups(ranges, options)
    if options.splits.similar is not None:
        return _join_similar(ranges, options)
    return _join_given(ranges, options)


def _once(pipeline: beam.Pipeline, name: str) -> beam.PCollection:
    return pipeline | name >> beam.Create([None])


def _join_given(ranges: beam.PCollection, options: Options) -> beam.PCollection:
    leaks = ranges | "FindLeaks" >> beam.MapTuple(lambda _, packed: given.find_leaks(packed))
    return _once(ranges.pipeline, "LeaksOnce") | "AddLeaks" >> beam.Map(
        lambda _, found: given.GivenSplits(
            given.add_leaks(found), options.splits, options.split_fractions
        ),
        AsList(leaks),
    )


def _join_groups(ranges: beam.PCollection, options: Options) -> beam.PCollection:
    if options.added_to is not None:
        return _join_ties(ranges, options.added_to, options)
    links = ranges | "FindLinks" >> beam.MapTuple(lambda _, packed: groups.find_links(packed))
    return _once(ranges.pipeline, "LinksOnce") | "JoinGroups" >> beam.Map(
        lambda _, found: groups.join_groups(found, options.split_fractions), AsList(links)
    )


def _join_ties(ranges: beam.PCollection, base: Base, options: Options) -> beam.PCollection:
    ties = ranges | "FindTies" >> beam.MapTuple(
        lambda _, packed: based_groups.find_ties(packed, base)
    )
    return _once(ranges.pipeline, "TiesOnce") | "JoinTies" >> beam.Map(
        lambda _, found: based_groups.join_ties(found, base, options.split_fractions), AsList(ties)
    )


def _join_based(found: beam.PCollection, base: Base, options: Options) -> beam.PCollection:
    exceptions = found | "FindExceptions" >> beam.Map(
        based.find_exceptions, base, options.split_fractions
    )
    return _once(found.pipeline, "ExceptionsOnce") | "JoinExceptions" >> beam.Map(
        lambda _, parts: based.join_exceptions(parts, base, options.split_fractions),
        AsList(exceptions),
    )


def _join_similar(ranges: beam.PCollection, options: Options) -> beam.PCollection:
    found = ranges | "FindSimilar" >> beam.ParDo(FindSimilar(options))
    return _once(ranges.pipeline, "SimilarOnce") | "JoinSimilar" >> beam.Map(
        lambda _, links: similar.join_links(links, options), AsList(found)
    )


class FindSimilar(ThreadedDoFn):
    """(Number of a range of hashes, its packed keys) to a RangeLinks."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def process(self, group: tuple[int, Iterable[Packed]]) -> Iterator[similar.RangeLinks]:
        """See the class."""
        number, packed = group
        yield from self.submit(similar.find_links, number, packed, self._options)

    def emit(self, links: similar.RangeLinks) -> Iterator[similar.RangeLinks]:
        """See the class."""
        progress.advance(clustered=links.sequences)
        yield links


def _join_strata(ranges: beam.PCollection, options: Options) -> beam.PCollection:
    found = ranges | "FindStrata" >> beam.MapTuple(strata.find_strata)
    if options.added_to is not None:
        return _join_based(found, options.added_to, options)
    counts = found | "CountStrata" >> beam.Map(lambda each: each.counts)
    cuts = _once(ranges.pipeline, "CutsOnce") | "PlanCuts" >> beam.Map(
        lambda _, counted: strata.plan_cuts(counted, options.split_fractions), AsList(counts)
    )
    hashes = found | "FindCuts" >> beam.Map(
        lambda each, planned: strata.find_cuts(each, planned.get(each.counts.number, [])),
        AsSingleton(cuts),
    )
    return _once(ranges.pipeline, "StrataOnce") | "JoinStrata" >> beam.Map(
        lambda _, counted, cut: strata.make_plan(counted, cut, options.split_fractions),
        AsList(counts),
        AsList(hashes),
    )
