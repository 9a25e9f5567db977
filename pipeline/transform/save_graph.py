"""The transform graph as a dataset holds it: the same bytes wherever and whenever it was made.

TensorFlow writes into a SavedModel what does not belong to the graph: the temporary path of each
vocabulary (as a name of its table), counts of what the process has traced so far (as names of
functions and arguments), maps and nodes in any order, and a random id (in `fingerprint.pb`, which
no reader needs).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter

from apache_beam.io.filesystems import FileSystems
from tensorflow.core.framework.attr_value_pb2 import NameAttrList
from tensorflow.core.framework.function_pb2 import FunctionDef
from tensorflow.core.framework.node_def_pb2 import NodeDef
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow.core.protobuf.saved_object_graph_pb2 import SavedObjectGraph

from charseq.models.saved_model import ASSETS_DIR, FINGERPRINT_FILE, SAVED_MODEL_FILE
from pipeline.runtime.filesystems import copy_tree, create, delete_files, open_file
from pipeline.transform.encoding import ALPHABET_FILE

_TABLE = "HashTableV2"
_SHARED_NAME = "shared_name"
_ARGUMENT_NAME = "_user_specified_name"


def save_graph(source: str, target: str) -> str:
    """Copy the SavedModel of a graph to `target` in canonical form, and return `target`."""
    copy_tree(source, target)
    delete_files([FileSystems.join(target, FINGERPRINT_FILE)])
    with open_file(FileSystems.join(source, SAVED_MODEL_FILE)) as file:
        data = file.read()
    with create(FileSystems.join(target, SAVED_MODEL_FILE)) as file:
        file.write(canonical_graph(data))
    return target


def cut_alphabet(graph: str, size: int) -> str:
    """Copy the SavedModel `graph`, its alphabet cut to `size` characters; return the copy's path.

    What TFT wrote stays, and each copy is in a new place: a runner may repeat this anywhere.
    """
    copy = copy_tree(graph, f"{graph.rstrip('/')}-cut-{uuid.uuid4().hex}")
    with open_file(FileSystems.join(graph, ASSETS_DIR, ALPHABET_FILE)) as file:
        characters = file.readlines()
    with create(FileSystems.join(copy, ASSETS_DIR, ALPHABET_FILE)) as file:
        file.writelines(characters[:size])
    return copy


def canonical_graph(data: bytes) -> bytes:
    """Return the content of a `saved_model.pb` without what depends on its making."""
    saved_model = SavedModel.FromString(data)
    for meta_graph in saved_model.meta_graphs:
        _name_tables(meta_graph)
        _name_functions(meta_graph)
        _remove_argument_numbers(meta_graph)
        for function in meta_graph.graph_def.library.function:
            _sort_nodes(function)
    canonical: bytes = saved_model.SerializeToString(deterministic=True)
    return canonical


def _name_tables(meta_graph: MetaGraphDef) -> None:
    """Number the tables in the order of the graph; tables of one name keep one name."""
    names: dict[bytes, bytes] = {}
    for node in _all_nodes(meta_graph):
        if node.op == _TABLE:
            name = node.attr[_SHARED_NAME].s
            node.attr[_SHARED_NAME].s = names.setdefault(name, b"table_%d" % len(names))


def _name_functions(meta_graph: MetaGraphDef) -> None:
    """Give functions numbers from 0, in the order of those they have, and sort them by name."""
    library = meta_graph.graph_def.library
    new_names = _number_anew([function.signature.name for function in library.function])
    for reference in _function_references(meta_graph):
        reference.name = new_names.get(reference.name, reference.name)
    for function in library.function:
        function.signature.name = new_names[function.signature.name]
    library.function.sort(key=lambda function: function.signature.name)
    _rename_in_objects(meta_graph.object_graph_def, new_names)


def _number_anew(names: list[str]) -> dict[str, str]:
    """Return the new name of each function: `cond_3` of `cond_1744`, the fourth in order."""
    split = {name: re.fullmatch(r"(.+_)(\d+)", name) for name in names}
    numbers = sorted({int(parts[2]) for parts in split.values() if parts})
    ranks = {number: rank for rank, number in enumerate(numbers)}
    return {
        name: f"{parts[1]}{ranks[int(parts[2])]}" if parts else name
        for name, parts in split.items()
    }


def _remove_argument_numbers(meta_graph: MetaGraphDef) -> None:
    """Remove the names of arguments that the function captured: counts of tensors so far."""
    for function in meta_graph.graph_def.library.function:
        for argument in function.arg_attr.values():
            if _ARGUMENT_NAME in argument.attr and argument.attr[_ARGUMENT_NAME].s.isdigit():
                del argument.attr[_ARGUMENT_NAME]


def _sort_nodes(function: FunctionDef) -> None:
    """Sort the nodes of a function, each behind its inputs, and the nodes that each waits for."""
    inputs = {node.name: {_node_name(name) for name in node.input} for node in function.node_def}
    sorter = TopologicalSorter({name: inputs[name] & inputs.keys() for name in inputs})
    sorter.prepare()
    order: dict[str, int] = {}
    while ready := sorted(sorter.get_ready()):
        order |= {name: len(order) + number for number, name in enumerate(ready)}
        sorter.done(*ready)
    function.node_def.sort(key=lambda node: order[node.name])
    for node in function.node_def:
        node.input.sort(key=lambda name: name if name.startswith("^") else "")
    function.signature.control_output.sort()


def _node_name(tensor: str) -> str:
    """Return the node that makes a tensor of a function: `a` of `a:output:0` and `^a`."""
    return tensor.removeprefix("^").partition(":")[0]


def _all_nodes(meta_graph: MetaGraphDef) -> Iterator[NodeDef]:
    yield from meta_graph.graph_def.node
    for function in meta_graph.graph_def.library.function:
        yield from function.node_def


def _function_references(meta_graph: MetaGraphDef) -> Iterator[NameAttrList]:
    """Yield the functions that the attributes of all nodes name."""
    for node in _all_nodes(meta_graph):
        for value in node.attr.values():
            if value.HasField("func"):
                yield value.func
            yield from value.list.func


def _rename_in_objects(objects: SavedObjectGraph, new_names: Mapping[str, str]) -> None:
    before = SavedObjectGraph()
    before.CopyFrom(objects)
    objects.concrete_functions.clear()
    for name, function in before.concrete_functions.items():
        objects.concrete_functions[new_names[name]].CopyFrom(function)
    for node in objects.nodes:
        if node.HasField("bare_concrete_function"):
            bare = node.bare_concrete_function
            bare.concrete_function_name = new_names[bare.concrete_function_name]
        if node.HasField("function"):
            names = node.function.concrete_functions
            names[:] = [new_names[name] for name in names]
