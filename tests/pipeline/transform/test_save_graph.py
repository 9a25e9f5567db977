from __future__ import annotations

import random
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from charseq.models.graph_check import check_graph
from pipeline.transform.save_graph import canonical_graph, cut_alphabet, save_graph


class Numbers(tf.Module):
    """Texts to the numbers of a table in a file, and a branch that waits for two checks."""

    def __init__(self, vocabulary: Path) -> None:
        super().__init__()
        content = tf.lookup.TextFileInitializer(
            str(vocabulary), tf.string, 0, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        )
        self.table = tf.lookup.StaticHashTable(content, -1)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def transform_fn(self, text: tf.Tensor) -> tf.Tensor:
        checks = [tf.debugging.assert_none_equal(text, word) for word in ("no", "never")]
        with tf.control_dependencies(checks):
            numbers = self.table.lookup(text)
            return tf.cond(tf.size(text) > 1, lambda: numbers + 1, lambda: numbers)


def save(folder: Path, name: str = "words") -> Path:
    """Write a graph whose vocabulary is the file `name` of `folder`."""
    (folder / name).write_text("a\nb\n")
    tf.saved_model.save(Numbers(folder / name), str(folder / "saved"))
    return folder / "saved"


def shuffled(data: bytes) -> bytes:
    """Return a SavedModel with its functions and their nodes in another order."""
    saved_model = SavedModel.FromString(data)
    library = saved_model.meta_graphs[0].graph_def.library
    for function in library.function:
        function.node_def.sort(key=lambda _: random.random())
    library.function.sort(key=lambda _: random.random())
    return bytes(saved_model.SerializeToString())


def test_a_graph_has_the_same_bytes_in_any_order_and_from_any_directory(tmp_path: Path) -> None:
    written = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        data = (save(tmp_path / name) / "saved_model.pb").read_bytes()
        assert str(tmp_path).encode() in data
        written += [canonical_graph(data), canonical_graph(shuffled(data))]
    assert len(set(written)) == 1
    assert canonical_graph(written[0]) == written[0]
    assert str(tmp_path).encode() not in written[0]
    check_graph(written[0], "the graph")


def test_a_saved_graph_answers_as_before(tmp_path: Path) -> None:
    source, target = save(tmp_path), tmp_path / "target"
    assert save_graph(str(source), str(target)) == str(target)
    names = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    assert names == {
        "assets/words",
        "saved_model.pb",
        "variables/variables.data-00000-of-00001",
        "variables/variables.index",
    }
    graphs = [tf.saved_model.load(str(path)) for path in (source, target)]
    for graph in graphs:
        assert graph.transform_fn(tf.constant(["b", "c", "a"])).numpy().tolist() == [2, 0, 1]


def test_a_copy_with_fewer_characters_does_not_know_the_others(tmp_path: Path) -> None:
    source = save(tmp_path, "alphabet")
    copies = [Path(cut_alphabet(str(source), size)) for size in (1, 1, 2)]
    assert len({source, *copies}) == 4
    texts = tf.constant(["b", "c", "a"])
    numbers = [
        tf.saved_model.load(str(path)).transform_fn(texts).numpy().tolist()
        for path in (source, *copies)
    ]
    assert numbers == [[2, 0, 1], [0, 0, 1], [0, 0, 1], [2, 0, 1]]
