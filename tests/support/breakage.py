"""Promises of the project, each with a function that breaks it; and the pytest plugin that does so.

`pytest -p tests.support.breakage` with the environment variable CHARSEQ_BREAKAGE set to the name of
a breakage replaces the function before any test module is imported. Then a test has to fail.
`python -m tests.break_promises` does this for every breakage.
"""

from __future__ import annotations

import functools
import importlib
import math
import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest

VARIABLE = "CHARSEQ_BREAKAGE"

Function = Callable[..., Any]


class Breakage(NamedTuple):
    """A way to break a promise, and the tests that must notice.

    Args:
        name: selects the breakage in CHARSEQ_BREAKAGE.
        promise: what no longer holds.
        target: the function to replace, "module:qualified name".
        wrap: from the function to what replaces it.
        tests: a path, and "-k EXPRESSION" where only some of its tests matter.
    """

    name: str
    promise: str
    target: str
    wrap: Callable[[Function], Function]
    tests: str


def always(value: object) -> Callable[[Function], Function]:
    """Return the wrapper that answers `value` and does nothing else."""
    return lambda _: lambda *_, **__: value


def keep_begun_line(iter_line_blocks: Function) -> Function:
    """Skip from the byte at the start of a range on, and not from the byte before it."""

    def broken(stream: Any, block: int, size: int | None, skip_first: bool = False) -> Any:
        if skip_first:
            stream.read(1)
        return iter_line_blocks(stream, block, size, skip_first)

    return broken


def reorder(sort_key: Callable[[int, int], tuple[int, ...]]) -> Callable[[Function], Function]:
    """Return a wrapper of `order_rows` that sorts by `sort_key(hash, place of arrival)` instead."""

    def wrap(order_rows: Function) -> Function:
        def broken(rows: Any, seed: int, keeps_duplicates: bool = False) -> Any:
            ordered = order_rows(rows, seed, keeps_duplicates)
            arrived, kept = _pairs(rows), _pairs(ordered.rows)
            hashes = _hashes(ordered.rows, seed)
            keys = [sort_key(hashes[i], arrived.index(pair)) for i, pair in enumerate(kept)]
            order = sorted(range(len(kept)), key=keys.__getitem__)
            return ordered._replace(rows=ordered.rows.take(order))

        return broken

    return wrap


def keep_duplicates(order_rows: Function) -> Function:
    """Sort by hash, and nothing else."""

    def broken(rows: Any, seed: int, keeps_duplicates: bool = False) -> Any:
        hashes = _hashes(rows, seed)
        order = sorted(range(len(rows)), key=hashes.__getitem__)
        return order_rows(rows, seed)._replace(rows=rows.take(order), duplicates=0)

    return broken


def _pairs(rows: Any) -> list[tuple[str, str]]:
    return list(zip(rows["sequence"].to_pylist(), rows["label"].to_pylist(), strict=True))


def _hashes(rows: Any, seed: int) -> list[int]:
    from pipeline.rows.hashing import hash_sequences

    hashes: list[int] = hash_sequences(rows["sequence"], seed).tolist()
    return hashes


def add_one(mask: Function) -> Function:
    return lambda checksum: mask(checksum) + 1


def leave_uncut(_: Function) -> Function:
    """Hash whole sequences; the encoder cuts them later all the same."""
    return lambda sequence, options: sequence


def manifest_first(move_all: Function) -> Function:
    def broken(output: str, journal: Any) -> None:
        from pipeline.output.journal import write_manifest

        write_manifest(output, journal)
        move_all(output, journal)

    return broken


def compare_sizes_only(_: Function) -> Function:
    return lambda then, now: then.bytes != now.bytes


def ignore_digests(require: Function) -> Function:
    def broken(actual: object, expected: object, subject: str) -> None:
        if "SHA-256" not in subject:
            require(actual, expected, subject)

    return broken


def believe_the_files(summarize: Function) -> Function:
    """Count as read what was written."""

    def broken(prepared: Any) -> Any:
        rejected: Counter[str] = sum(
            (file.by_reason for file in prepared.rejected_files), Counter()
        )
        written = sum(file.rows for file in prepared.files)
        counts = replace(prepared.counts, usable=written, rejected=rejected)
        return summarize(replace(prepared, counts=counts))

    return broken


def write_despite_errors(write_predictions: Function) -> Function:
    from charseq.errors import DataError

    def broken(*args: Any) -> Any:
        try:
            return write_predictions(*args)
        except DataError:
            return None

    return broken


def answer_by_length(classify: Function) -> Function:
    """Answer in the order in which the model got the sequences."""

    def broken(classifier: Any, sequence: Any, top: int = 1) -> Any:
        texts = sequence.to_pylist()
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        return classify(classifier, sequence.take(order), top)

    return broken


def track_the_model(init: Function) -> Function:
    """Let tf.Module save each variable of the model twice."""

    def broken(classifier: Any, encoder: Any, model: Any, *more: Any) -> None:
        init(classifier, encoder, model, *more)
        classifier._weights = model

    return broken


def read_one_step_further(last_output: Function) -> Function:
    def broken(layers: Any, gates: Any, sequence: Any, length: Any) -> Any:
        import tensorflow as tf

        longest = tf.shape(sequence, out_type=length.dtype)[1]
        return last_output(layers, gates, sequence, tf.minimum(length + 1, longest))

    return broken


def average_padding_too(last_and_mean: Function) -> Function:
    def broken(outputs: Any, length: Any) -> Any:
        import tensorflow as tf

        last, _ = tf.split(last_and_mean(outputs, length), 2, axis=1)
        return tf.concat([last, tf.reduce_mean(outputs, axis=0)], axis=1)

    return broken


def unknown_as_last_character(encode_text: Function) -> Function:
    def broken(inputs: Any, options: Any) -> Any:
        import tensorflow as tf

        features = encode_text(inputs, options)
        known = tf.constant(options.num_characters, tf.int64)
        return {**features, "sequence": tf.minimum(features["sequence"], known)}

    return broken


def keep_all_characters(_: Function) -> Function:
    return lambda graph, size: graph


def leave_as_read(_: Function) -> Function:
    """Normalize nothing before rows are compared and hashed."""
    from pipeline.rows.normalizing import NormalizedColumn

    return lambda text, normalization: NormalizedColumn(text, {})


def match_by_backtracking(_: Function) -> Function:
    """Match patterns as Beam does, by Python's regular expressions."""
    from apache_beam.io.filesystem import FileSystem

    def broken(paths: list[str], pattern: str) -> list[str]:
        expression = re.compile(FileSystem.translate_pattern(pattern))
        return [path for path in paths if expression.match(path)]

    return broken


BREAKAGES = (
    Breakage(
        "unseen-labels-vanish",
        "every row is accounted for: an unseen label is written down",
        "pipeline.dataset.shuffling:reject_rows",
        always([]),
        "tests/pipeline/dataset/test_prepare.py -k unseen or seen_in_no_train_row",
    ),
    Breakage(
        "sum-unchecked",
        "every row is accounted for: a sum that does not hold publishes nothing",
        "pipeline.dataset.build_manifest:require_all_rows",
        always(None),
        "tests/pipeline/dataset/test_build_manifest.py",
    ),
    Breakage(
        "range-loses-a-line",
        "every row is accounted for: where a range of a file begins",
        "pipeline.rows.blocks:iter_line_blocks",
        keep_begun_line,
        "tests/pipeline/rows/test_blocks.py",
    ),
    Breakage(
        "ties-as-they-arrive",
        "the same bytes: whatever the order of arrival",
        "pipeline.shards.ordering:order_rows",
        reorder(lambda hashed, arrival: (hashed, arrival)),
        "tests/pipeline/shards/test_ordering.py",
    ),
    Breakage(
        "rows-as-they-arrive",
        "the same bytes: from other files, orders and workers",
        "pipeline.shards.ordering:order_rows",
        reorder(lambda hashed, arrival: (arrival,)),
        "tests/pipeline/dataset/test_prepare.py -k same_bytes",
    ),
    Breakage(
        "another-checksum",
        "the same bytes: as protobuf and TFRecord writers write them",
        "pipeline.tfrecord.crc32c:mask_crc",
        add_one,
        "tests/pipeline/tfrecord/test_framing.py",
    ),
    Breakage(
        "hash-before-the-cut",
        "no leak: equal after the cut means the same split",
        "pipeline.dataset.checking:cut",
        leave_uncut,
        "tests/pipeline/dataset/test_prepare.py -k plain_python",
    ),
    Breakage(
        "weights-of-duplicates",
        "nothing is lost: the weight of a duplicate is added to that of its record",
        "pipeline.shards.ordering:_add_up_weights",
        lambda _: lambda rows, tied, new_label: rows,
        "tests/pipeline/shards/test_ordering.py -k weight",
    ),
    Breakage(
        "weights-unscaled",
        "weights count in proportion: of 3 each they train as none",
        "charseq.manifest:Manifest.weight_scale",
        always(1.0),
        "tests/trainer/training/test_loop.py -k equal_weights",
    ),
    Breakage(
        "leaks-stay",
        "no leak: no train row is in another given split",
        "pipeline.split.given:GivenSplits._is_dropped",
        lambda _: lambda splits, given, hashes: np.zeros(len(given), np.bool_),
        "tests/pipeline/dataset/test_given_splits.py -k leave_the_train_split",
    ),
    Breakage(
        "groups-unlinked",
        "no leak: groups that share a sequence are in one split",
        "pipeline.components:_find_roots",
        lambda _: lambda nodes, a, b: np.arange(nodes),
        "tests/pipeline/split/test_groups.py",
    ),
    Breakage(
        "keys-unshared",
        "no near-copy of a test row is in the train split with --similar",
        "pipeline.similar.keys:_variants",
        lambda original: lambda characters, most: original(characters, 0),
        "tests/pipeline/similar/test_pairs.py",
    ),
    Breakage(
        "near-rows-stay",
        "--similar-policy drop: no train row is like one of another split",
        "pipeline.split.similar:DroppedSplits._is_dropped",
        lambda _: lambda splits, hashes: np.zeros(len(hashes), np.bool_),
        "tests/pipeline/dataset/test_row_splits.py -k similar",
    ),
    Breakage(
        "remainders-to-train",
        "shares of each label are exact with --stratify",
        "pipeline.split.strata:share_out",
        lambda _: lambda count, fractions: [count, *[0 for _ in fractions[1:]]],
        "tests/pipeline/split/test_strata.py",
    ),
    Breakage(
        "hash-as-read",
        "no leak: sequences that look the same are in the same split",
        "pipeline.rows.normalizing:normalize_column",
        leave_as_read,
        "tests/pipeline/dataset/test_twins.py -k one_sequence",
    ),
    Breakage(
        "nfc-forgotten",
        "no skew: raw rows become NFC before the graph",
        "charseq.text.normalization:Normalization.before_graph",
        lambda _: lambda normalization, texts: list(texts),
        "tests/pipeline/dataset/test_twins.py -k one_sequence",
    ),
    Breakage(
        "auto-alphabet-uncut",
        "no skew: what auto takes is the alphabet of the graph, too",
        "pipeline.transform.save_graph:cut_alphabet",
        keep_all_characters,
        "tests/pipeline/dataset/test_auto.py -k plain_python",
    ),
    Breakage(
        "leak-unverified",
        "no leak: --verify finds a sequence in two splits",
        "pipeline.verification.verify:_verify_no_leak",
        always(None),
        "tests/pipeline/verification/test_verify.py",
    ),
    Breakage(
        "duplicates-kept",
        "no leak: equal rows are written once",
        "pipeline.shards.ordering:order_rows",
        keep_duplicates,
        "tests/pipeline/shards/test_ordering.py",
    ),
    Breakage(
        "hash-order-reversed",
        "globally shuffled: rows lie in hash order",
        "pipeline.shards.ordering:order_rows",
        reorder(lambda hashed, arrival: (-hashed,)),
        "tests/pipeline/dataset/test_prepare.py -k plain_python",
    ),
    Breakage(
        "manifest-first",
        "all or nothing: the manifest comes last",
        "pipeline.output.journal:move_all",
        manifest_first,
        "tests/pipeline/dataset/test_publish.py",
    ),
    Breakage(
        "only-sizes-compared",
        "twice is once: another content of an input file is refused",
        "pipeline.output.differences:_has_changed",
        compare_sizes_only,
        "tests/pipeline/manifests/test_existing.py",
    ),
    Breakage(
        "digests-unverified",
        "all or nothing: a flipped bit is found",
        "pipeline.verification.verify:_require",
        ignore_digests,
        "tests/pipeline/verification/test_verify.py",
    ),
    Breakage(
        "predictions-uncounted",
        "every row is predicted once: a sum that does not hold publishes nothing",
        "pipeline.predict.publish:summarize",
        believe_the_files,
        "tests/pipeline/predict/test_predict.py -k lost_rows",
    ),
    Breakage(
        "predicted-twice",
        "every row is predicted once: two predictions of a row publish nothing",
        "pipeline.predict.predicted_files:write_predictions",
        write_despite_errors,
        "tests/pipeline/predict/test_predict.py -k predicted_twice",
    ),
    Breakage(
        "answers-by-length",
        "every row is predicted once: each answer goes to the row it is for",
        "pipeline.predict.classifier:Classifier.classify",
        answer_by_length,
        "tests/pipeline/predict/test_predict.py -k once",
    ),
    Breakage(
        "xla-unchecked",
        "served: a prediction is what the model's own graph computes",
        "charseq.models.probabilities:_agree",
        always(True),
        "tests/charseq/models/test_probabilities.py -k graph",
    ),
    Breakage(
        "model-tracked",
        "served: a session can run what was exported",
        "trainer.export.serving_model:TextClassifier.__init__",
        track_the_model,
        "tests/trainer/export/test_serving.py -k cli",
    ),
    Breakage(
        "one-step-too-far",
        "served: a row's answer is of its last character",
        "trainer.model.forward_pass:last_output",
        read_one_step_further,
        "tests/trainer/export/test_export.py -k keras_computes",
    ),
    Breakage(
        "mean-of-padding",
        "no skew: padding has no part in what a training reads",
        "trainer.ngrams.recurrence:_last_and_mean",
        average_padding_too,
        "tests/trainer/ngrams/test_replica.py -k classifier_answers",
    ),
    Breakage(
        "unknown-is-known",
        "no skew: what is written is what the graph says",
        "pipeline.transform.encoding:encode_text",
        unknown_as_last_character,
        "tests/pipeline/dataset/test_prepare.py -k plain_python",
    ),
    Breakage(
        "parity-not-replayed",
        "no skew: the export replays the parity rows",
        "trainer.export.parity:Parity.replay",
        always(None),
        "tests/trainer/export/test_export.py",
    ),
    Breakage(
        "patterns-by-backtracking",
        "a name is no pattern: patterns are matched in linear time",
        "pipeline.runtime.globs:_matches",
        match_by_backtracking,
        "tests/pipeline/runtime/test_globs.py -k forty_stars",
    ),
    Breakage(
        "any-directory-is-ours",
        "nothing of the user's is removed: a directory with other files is refused",
        "pipeline.output.directory:_check_ours",
        always(None),
        "tests/pipeline/output/test_directory.py -k somebody_else",
    ),
    Breakage(
        "unlisted-files-replaced",
        "nothing of the user's is removed: only files that a manifest lists are replaced",
        "pipeline.output.journal:_check_free",
        always(None),
        "tests/pipeline/output/test_journal.py -k no_manifest_lists",
    ),
    Breakage(
        "input-in-output",
        "nothing of the user's is removed: an input in the output directory is refused",
        "pipeline.output.directory:check_inputs_outside",
        always(None),
        "tests/pipeline/dataset/test_prepare.py -k input_in_the_output",
    ),
    Breakage(
        "names-climb",
        "nothing of the user's is overwritten: a key of a bucket never leaves its directory",
        "charseq.files:check_name",
        lambda _: lambda name, where: name,
        "tests/trainer/data/test_files.py -k key_never",
    ),
    Breakage(
        "input-changes-unnoticed",
        "what was read is what is named: an input that changes is never published",
        "pipeline.rows.identity:check_identities",
        always(None),
        "tests/pipeline/dataset/test_prepare.py -k changes_while",
    ),
    Breakage(
        "dataset-replaced-unnoticed",
        "what was read is what is named: a training on two datasets saves nothing",
        "trainer.data.dataset:Dataset.check_unchanged",
        always(None),
        "tests/trainer/training/test_checkpoint.py -k replaced_under",
    ),
    Breakage(
        "graph-unverified",
        "what was read is what is named: a graph or rows that changed are not exported",
        "trainer.data.dataset:Dataset._check_digest",
        always(None),
        "tests/trainer/export/test_export.py -k changed_after",
    ),
    Breakage(
        "terminal-unescaped",
        "nothing reaches a terminal with its control characters",
        "charseq.console.terminal:escape_for",
        lambda _: lambda stream, text: text,
        "tests/charseq/console/test_terminal.py -k unescaped",
    ),
    Breakage(
        "blanks-are-text",
        "rows that look the same are the same: a sequence of blanks is empty",
        "pipeline.rows.validation:_is_blank",
        lambda _: lambda text: np.zeros(len(text), np.bool_),
        "tests/pipeline/rows/test_validation.py",
    ),
    Breakage(
        "similar-labels-unnamed",
        "rows that look the same are the same: labels that are nearly equal are named",
        "pipeline.dataset.notes:note_doubtful_labels",
        always(()),
        "tests/pipeline/test_strangers_files.py -k dump",
    ),
    Breakage(
        "rejected-unlimited",
        "no misleading numbers: predictions for a part of the rows are no success",
        "pipeline.rows.rejected_fraction:check_rejected_fraction",
        always(None),
        "tests/pipeline/predict/test_predict.py -k too_many_rejected",
    ),
    Breakage(
        "unknown-text-predicted",
        "no misleading numbers: predictions for another alphabet are no success",
        "pipeline.predict.characters:check_characters",
        always(None),
        "tests/pipeline/predict/test_predict.py -k other_characters",
    ),
    Breakage(
        "trivial-unnamed",
        "no misleading numbers: a model that learned nothing is called trivial",
        "charseq.measures.baseline:explain_trivial",
        always(None),
        "tests/trainer/test_command.py -k trivial_first",
    ),
    Breakage(
        "not-better-unnamed",
        "no misleading numbers: a model that n-grams are as good as is called so",
        "charseq.measures.baseline:explain_not_better",
        always(None),
        "tests/trainer/test_command.py -k trivial_first",
    ),
    Breakage(
        "bad-run-unnamed",
        "a training with few updates names the flags that help",
        "trainer.run_warnings:update_warnings",
        always(()),
        "tests/trainer/test_run_warnings.py -k few_updates",
    ),
    Breakage(
        "onnx-unverified",
        "no skew: an export to ONNX answers as the model does, or does not appear",
        "trainer.onnx.verification:verify",
        always(0.0),
        "tests/trainer/onnx/test_export.py -k refused",
    ),
    Breakage(
        "uncalibrated",
        "the exported weights have the temperature that the evaluation speaks of",
        "trainer.calibration.scale:divide_scores",
        always(None),
        "tests/trainer/test_command.py -k agrees",
    ),
    Breakage(
        "sets-too-small",
        "sets of labels hold the right one as often as wanted",
        "charseq.measures.conformal:find_rank",
        lambda find_rank: lambda rows, coverage: find_rank(rows, coverage - 0.05),
        "tests/charseq/measures/test_conformal.py -k exchangeable",
    ),
    Breakage(
        "nothing-unknown",
        "an unknown character is stranger than all known ones",
        "trainer.strangeness.fit:count_all_ngrams",
        lambda count: lambda rows, unknown_id: count(rows, unknown_id - 1),
        "tests/trainer/strangeness/test_strangeness.py",
    ),
    Breakage(
        "quota-ignored",
        "a container's CPU quota is kept",
        "charseq.process.machine:_cpu_quota",
        always(math.inf),
        "tests/charseq/process/test_machine.py",
    ),
)


def find_breakage(name: str) -> Breakage:
    """Return the breakage of that name.

    Raises:
        pytest.UsageError: there is none.
    """
    by_name = {breakage.name: breakage for breakage in BREAKAGES}
    if name not in by_name:
        raise pytest.UsageError(f"{VARIABLE}: got {name!r}, expected one of {', '.join(by_name)}")
    return by_name[name]


def break_promise(breakage: Breakage) -> None:
    """Replace the target in this process.

    Raises:
        pytest.UsageError: the project has no such function.
    """
    module_name, _, qualified = breakage.target.partition(":")
    *outer, name = qualified.split(".")
    try:
        owner = functools.reduce(getattr, outer, importlib.import_module(module_name))
        original = getattr(owner, name)
    except (ImportError, AttributeError) as error:
        raise pytest.UsageError(f"{breakage.name}: no {breakage.target}: {error}") from error
    setattr(owner, name, functools.wraps(original)(breakage.wrap(original)))


def pytest_configure() -> None:
    """Break the promise before pytest imports a test module, and with it `from … import …`."""
    if name := os.environ.get(VARIABLE):
        break_promise(find_breakage(name))
