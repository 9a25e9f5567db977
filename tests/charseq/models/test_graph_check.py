"""SavedModels that do more than compute, each of them refused before it is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from google.protobuf.message import Message
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from charseq.errors import DataError
from charseq.models.allowed_operations import ALLOWED, RESTORE_ONLY, SAVE_ONLY
from charseq.models.graph_check import check_graph
from charseq.models.saved_model import load_saved_model

TEXTS = tf.TensorSpec([None], tf.string, name="sequence")
Body = Callable[[tf.Tensor], tf.Tensor]


class Upper(tf.Module):
    """Capital letters, numbered by a table of an asset, times a weight."""

    def __init__(self, letters: Path) -> None:
        super().__init__()
        self.weight = tf.Variable(2.0)
        self.table = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                str(letters), tf.string, 0, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
            ),
            -1,
        )

    @tf.function(input_signature=[TEXTS])
    def classify(self, sequence: tf.Tensor) -> tf.Tensor:
        ids = self.table.lookup(tf.strings.upper(sequence))
        return tf.cast(ids, tf.float32) * self.weight


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("harmless")
    (folder / "letters").write_text("A\nB\n")
    model = Upper(folder / "letters")
    tf.saved_model.save(model, str(folder / "model"), {"serving_default": model.classify})
    return folder / "model"


def check(path: Path) -> None:
    check_graph((path / "saved_model.pb").read_bytes(), "the model")


def refused(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        check(path)
    message = str(caught.value)
    assert message.startswith("the model: ")
    assert message.endswith("load it only if you trust its origin, with --trust-model")
    return message


def save(folder: Path, body: Body) -> Path:
    """Write a model whose signature is a function, and return its directory."""
    module = tf.Module()
    module.classify = tf.function(body, input_signature=[TEXTS])
    tf.saved_model.save(module, str(folder / "model"), {"serving_default": module.classify})
    return folder / "model"


def test_a_model_that_computes_is_loaded(harmless: Path) -> None:
    check(harmless)
    model = load_saved_model(str(harmless), "the model", trust_model=False)
    assert model.classify(tf.constant(["b", "c"])).numpy().tolist() == [2.0, -2.0]


def reads_a_file(text: tf.Tensor) -> tf.Tensor:
    return tf.strings.join([text, tf.io.read_file("/etc/hostname")])


def writes_a_file(text: tf.Tensor) -> tf.Tensor:
    with tf.control_dependencies([tf.io.write_file("stolen", text[0])]):
        return tf.identity(text)


def lists_files(text: tf.Tensor) -> tf.Tensor:
    return tf.io.matching_files(text)


def runs_python(text: tf.Tensor) -> tf.Tensor:
    return tf.py_function(lambda x: x, [text], tf.string)


def runs_numpy(text: tf.Tensor) -> tf.Tensor:
    return tf.numpy_function(lambda x: x, [text], tf.string)


def prints_to_a_file(text: tf.Tensor) -> tf.Tensor:
    tf.print(text, output_stream="file:///tmp/printed")
    return tf.identity(text)


def reads_lines(text: tf.Tensor) -> tf.Tensor:
    lines = tf.data.TextLineDataset(text)
    return lines.reduce(tf.constant(""), lambda all_of_them, line: all_of_them + line)


def saves_a_checkpoint(text: tf.Tensor) -> tf.Tensor:
    tf.raw_ops.SaveV2(prefix=text[0], tensor_names=["a"], shape_and_slices=[""], tensors=[text])
    return tf.identity(text)


def reads_a_checkpoint(text: tf.Tensor) -> tf.Tensor:
    return tf.raw_ops.RestoreV2(
        prefix=text[0], tensor_names=["a"], shape_and_slices=[""], dtypes=[tf.string]
    )[0]


def reads_in_a_nested_function(text: tf.Tensor) -> tf.Tensor:
    @tf.function
    def inner(x: tf.Tensor) -> tf.Tensor:
        return tf.function(reads_a_file)(x)

    return inner(text)


def reads_in_a_loop(text: tf.Tensor) -> tf.Tensor:
    return tf.while_loop(lambda x: tf.size(x) < 9, lambda x: [reads_a_file(x)], [text])[0]


def reads_in_a_branch(text: tf.Tensor) -> tf.Tensor:
    return tf.cond(tf.size(text) > 9, lambda: reads_a_file(text), lambda: tf.identity(text))


def fills_a_table_from_a_file_that_a_client_names(text: tf.Tensor) -> tf.Tensor:
    table = tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64, shared_name="t")
    tf.raw_ops.InitializeTableFromTextFileV2(
        table_handle=table, filename=text[0], key_index=-2, value_index=-1, vocab_size=-1
    )
    return tf.identity(text)


def fills_a_table_from_a_file_by_name(text: tf.Tensor) -> tf.Tensor:
    return fills_a_table_from_a_file_that_a_client_names(tf.constant(["/etc/passwd"]))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (reads_a_file, "operation ReadFile in function __inference_reads_a_file"),
        (writes_a_file, "operation WriteFile in function"),
        (lists_files, "operation MatchingFiles in function"),
        (runs_python, "operation EagerPyFunc in function"),
        (runs_numpy, "operation PyFunc in function"),
        (prints_to_a_file, "operation PrintV2 in function"),
        (reads_lines, "operation TextLineDataset in function"),
        (saves_a_checkpoint, "operation SaveV2 in function"),
        (reads_a_checkpoint, "operation RestoreV2 in function"),
        (reads_in_a_nested_function, "operation ReadFile in function __inference_reads_a_file"),
        (reads_in_a_loop, "operation ReadFile in function while_body"),
        (reads_in_a_branch, "operation ReadFile in function cond_true"),
        (fills_a_table_from_a_file_that_a_client_names, "fills a table from a file that is no a"),
        (fills_a_table_from_a_file_by_name, "fills a table from a file that is no asset"),
    ],
)
def test_a_signature_that_does_more_is_refused(body: Body, said: str, tmp_path: Path) -> None:
    path = save(tmp_path, body)
    assert said in refused(path)
    with pytest.raises(DataError, match="the model: "):
        load_saved_model(str(path), "the model", trust_model=False)
    load_saved_model(str(path), "the model", trust_model=True)


def test_an_initialiser_that_does_more_is_refused(tmp_path: Path) -> None:
    module = tf.Module()
    module.table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(["a"], tf.constant([1], tf.int64)), -1
    )
    initialize = module.table._initialize

    def stealing() -> None:
        tf.io.write_file(str(tmp_path / "stolen"), "x")
        initialize()

    module.table._initialize = stealing
    tf.saved_model.save(module, str(tmp_path / "model"))
    assert "operation WriteFile in function" in refused(tmp_path / "model")
    with pytest.raises(DataError):
        load_saved_model(str(tmp_path / "model"), "the model", trust_model=False)
    assert not (tmp_path / "stolen").exists()


def test_names_are_shown_without_their_control_characters(tmp_path: Path, harmless: Path) -> None:
    with changed(harmless, tmp_path) as (graph, _):
        graph.graph_def.node.add(name="n", op="Read\x1b[31mFile" + 100 * "x")
    message = refused(tmp_path)
    assert "operation Read\\x1b[31mFilexxx" in message
    assert len(message) < 400


@contextmanager
def changed(model: Path, folder: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield the graph of a model to be changed, and its functions; write it to a folder."""
    saved = SavedModel.FromString((model / "saved_model.pb").read_bytes())
    (graph,) = saved.meta_graphs
    yield graph, {f.signature.name: f for f in graph.graph_def.library.function}
    (folder / "saved_model.pb").write_bytes(saved.SerializeToString())


def named(functions: dict[str, Any], part: str) -> Any:
    (name,) = [name for name in functions if part in name]
    return functions[name]


def nodes(function: Message, op: str) -> Iterator[Any]:
    return (node for node in function.node_def if node.op == op)


@pytest.mark.parametrize("name", ["/etc/passwd", "../../secret", "..", "", "a\\b"])
def test_an_asset_outside_the_model_is_refused(name: str, harmless: Path, tmp_path: Path) -> None:
    with changed(harmless, tmp_path) as (graph, _):
        graph.asset_file_def[0].filename = name
    assert "which is outside the model" in refused(tmp_path)


def test_a_graph_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"\xff\xff no graph")
    with pytest.raises(DataError, match="the model: cannot be loaded: its graph cannot be read"):
        check(tmp_path)


def test_a_function_that_takes_the_place_of_an_operation_is_refused(
    harmless: Path, tmp_path: Path
) -> None:
    """TensorFlow looks for a function of a node's name first."""
    with changed(harmless, tmp_path) as (_, functions):
        named(functions, "traced_save").signature.name = "StringUpper"
    assert "a function with the name of operation StringUpper" in refused(tmp_path)


def test_a_function_hidden_behind_another_of_its_name_is_refused(
    harmless: Path, tmp_path: Path
) -> None:
    with changed(harmless, tmp_path) as (graph, functions):
        twin = graph.graph_def.library.function.add()
        twin.CopyFrom(named(functions, "__inference_classify"))
    assert "two functions of one name" in refused(tmp_path)


def test_saving_from_anywhere_else_is_refused(harmless: Path, tmp_path: Path) -> None:
    """Its function may be called from a signature, for a file that a client names."""
    with changed(harmless, tmp_path) as (_, functions):
        save_name = named(functions, "traced_save").signature.name
        (call,) = nodes(named(functions, "signature_wrapper"), "StatefulPartitionedCall")
        call.attr["f"].func.name = save_name
    assert "operation SaveV2 in function" in refused(tmp_path)


def test_a_signature_that_saves_is_refused(harmless: Path, tmp_path: Path) -> None:
    with changed(harmless, tmp_path) as (graph, _):
        outputs = graph.signature_def["serving_default"].outputs
        outputs["output_0"].name = graph.saver_def.save_tensor_name
    assert "operation SaveV2 in function" in refused(tmp_path)


def test_saving_chosen_as_the_implementation_of_another_function_is_refused(
    harmless: Path, tmp_path: Path
) -> None:
    """TensorFlow's optimizer may call any function of the same `api_implements`."""
    with changed(harmless, tmp_path) as (_, functions):
        for function in (named(functions, "traced_save"), named(functions, "signature_wrapper")):
            function.attr["api_implements"].s = b"classify"
    assert "operation SaveV2 in function" in refused(tmp_path)


def test_a_model_that_saves_when_it_is_restored_is_refused(harmless: Path, tmp_path: Path) -> None:
    with changed(harmless, tmp_path) as (graph, _):
        graph.saver_def.restore_op_name = graph.saver_def.save_tensor_name.partition(":")[0]
        graph.saver_def.save_tensor_name = ""
    assert "operation SaveV2 in function" in refused(tmp_path)


def test_restoring_from_another_file_is_refused(harmless: Path, tmp_path: Path) -> None:
    with changed(harmless, tmp_path) as (_, functions):
        (restore,) = nodes(named(functions, "traced_restore"), "RestoreV2")
        restore.input[0] = restore.input[1]
    assert "restores variables from a file of its own choice" in refused(tmp_path)


def test_an_asset_path_that_is_stored_or_given_by_a_client_is_refused(
    harmless: Path, tmp_path: Path
) -> None:
    """TensorFlow Serving keeps the path of an asset in a variable, and reads it there."""
    with changed(harmless, tmp_path) as (graph, _):
        (assign,) = (node for node in graph.graph_def.node if node.op == "AssignVariableOp")
        assign.input[1] = "saver_filename"
    assert "the graph stores a text in a variable" in refused(tmp_path)
    with changed(harmless, tmp_path) as (graph, _):
        inputs = graph.signature_def["serving_default"].inputs
        inputs["file"].name = graph.asset_file_def[0].tensor_info.name
    assert "the graph stores a text in a variable" in refused(tmp_path)


def test_an_initialiser_that_is_given_something_else_is_refused(
    harmless: Path, tmp_path: Path
) -> None:
    with changed(harmless, tmp_path) as (graph, functions):
        initializer = named(functions, "initializer").signature.name
        concrete = graph.object_graph_def.concrete_functions[initializer]
        concrete.bound_inputs[0] = 0
    assert "fills a table from a file that is no asset of the model" in refused(tmp_path)
    with changed(harmless, tmp_path) as (graph, _):
        for node in graph.graph_def.node:
            if node.attr["f"].func.name == initializer:
                node.input[0] = "saver_filename"
    assert "fills a table from a file that is no asset of the model" in refused(tmp_path)


def test_a_malformed_graph_is_refused_in_the_same_way(harmless: Path, tmp_path: Path) -> None:
    with changed(harmless, tmp_path) as (graph, functions):
        (fill,) = nodes(named(functions, "initializer"), "InitializeTableFromTextFileV2")
        (restore,) = nodes(named(functions, "traced_restore"), "RestoreV2")
        del fill.input[:], restore.input[:]
        for function in graph.object_graph_def.concrete_functions.values():
            function.bound_inputs[:] = [999] * len(function.bound_inputs)
    assert "fills a table from a file that is no asset of the model" in refused(tmp_path)


def test_every_operation_of_the_list_exists_and_none_touches_files() -> None:
    known = {name for name in dir(tf.raw_ops) if not name.startswith("_")}
    assert known >= ALLOWED
    assert not ALLOWED & (SAVE_ONLY | RESTORE_ONLY)
    outside = ("File", "Dataset", "Iterator", "Reader", "PyFunc", "Summary", "Print", "Debug")
    touching = {name for name in ALLOWED if any(word in name for word in outside)}
    assert touching == {"InitializeTableFromTextFileV2"}
