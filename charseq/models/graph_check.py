"""A check of a SavedModel before it is loaded: does its graph only compute?

A SavedModel is a program. Loading one runs its initialisers, and calling one runs its signatures;
both may read and write any file that the process may. So a model's graph is read as data first:

- Its operations are those of `charseq.models.allowed_operations`, wherever they are: in the graph,
  in any function, called or not.
- The operations that save and restore variables are in the functions that the model names for it,
  and these are called from nowhere else.
- A table is filled from an asset of the model only. The name of its file is followed from the
  initialiser through all calls to where it comes from.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from charseq.console.terminal import escape_terminal
from charseq.errors import DataError
from charseq.models.allowed_operations import (
    ALLOWED,
    ASSIGN,
    CALLS,
    FILE_NAME_INPUT,
    PLACEHOLDER,
    READ_VARIABLE,
    RESTORE_ONLY,
    SAVE_ONLY,
    TABLE_FROM_FILE,
)

if TYPE_CHECKING:
    from tensorflow.core.framework.function_pb2 import FunctionDef
    from tensorflow.core.framework.node_def_pb2 import NodeDef
    from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef

_SHOWN_PROBLEMS = 5
_SHOWN_WIDTH = 60
_GRAPH = "the graph"
# Attributes of a function that TensorFlow reads without choosing a function by them.
_HARMLESS_ATTRIBUTES = {"_input_shapes", "_construction_context"}
# The nodes of an object graph that stand for a file in the model's assets.
_ASSET = "asset"


def check_graph(data: bytes, path: str) -> None:
    """Check that a SavedModel only computes.

    Args:
        data: the content of its `saved_model.pb`.
        path: of the SavedModel, for errors.

    Raises:
        DataError: it is not a SavedModel, or has an operation that an exported model does not have;
            the message names the operations and where they are.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    try:
        saved_model = SavedModel.FromString(data)
    except DecodeError as error:
        raise DataError(f"{path}: cannot be loaded: its graph cannot be read") from error
    problems = [
        problem
        for meta_graph in saved_model.meta_graphs
        for problem in _Graph(meta_graph).problems()
    ]
    if problems:
        raise DataError(
            f"{path}: {_join(problems)}. No model that the trainer exported has this. A model is a "
            "program that may read and write your files: load it only if you trust its origin, "
            "with --trust-model"
        )


def _join(problems: Iterable[str]) -> str:
    distinct = list(dict.fromkeys(problems))
    rest = len(distinct) - _SHOWN_PROBLEMS
    more = [f"{rest:,} more"] if rest > 0 else []
    return "; ".join([*distinct[:_SHOWN_PROBLEMS], *more])


class _Place(NamedTuple):
    """Where a node is: the name of its function, or None for the graph itself."""

    function: str | None

    def __str__(self) -> str:
        return f"function {_show(self.function)}" if self.function else _GRAPH


class _Graph:
    """A MetaGraphDef, and what is wrong in it."""

    def __init__(self, meta_graph: MetaGraphDef) -> None:
        self._meta_graph = meta_graph
        self._functions: dict[str, FunctionDef] = {
            function.signature.name: function for function in meta_graph.graph_def.library.function
        }

    def problems(self) -> Iterator[str]:
        """Yield a phrase for each operation that is not allowed where it is."""
        yield from self._name_problems()
        for place, node in self._all_nodes():
            allowed = ALLOWED | self._saver_operations(place)
            if node.op not in allowed:
                yield f"operation {_show(node.op)} in {place}"
            elif node.op in RESTORE_ONLY and not self._is_argument(place, _input(node, 0)):
                yield f"{place} restores variables from a file of its own choice"
            elif node.op == ASSIGN and not self._may_assign(place, node):
                yield f"{place} stores a text in a variable"
            elif node.op == TABLE_FROM_FILE:
                yield from self._table_problems(place, node)

    def _name_problems(self) -> Iterator[str]:
        """Yield a phrase for each function or asset whose name stands for something else."""
        if len(self._functions) < len(self._meta_graph.graph_def.library.function):
            yield "two functions of one name"
        for name in sorted(ALLOWED & set(self._functions)):
            # It would be called in place of the operation.
            yield f"a function with the name of operation {name}"
        for asset in self._meta_graph.asset_file_def:
            if not _is_plain_name(asset.filename):
                yield f"an asset named {_show(asset.filename)}, which is outside the model"

    def _all_nodes(self) -> Iterator[tuple[_Place, NodeDef]]:
        for node in self._meta_graph.graph_def.node:
            yield _Place(None), node
        for name, function in self._functions.items():
            for node in function.node_def:
                yield _Place(name), node

    def _saver_operations(self, place: _Place) -> frozenset[str]:
        """Return the operations that a function may have as part of the model's saver."""
        saves = SAVE_ONLY if place.function in self._save_functions else frozenset()
        restores = RESTORE_ONLY if place.function in self._restore_functions else frozenset()
        return saves | restores

    @cached_property
    def _save_functions(self) -> Collection[str]:
        return self._called_only_by(self._meta_graph.saver_def.save_tensor_name)

    @cached_property
    def _restore_functions(self) -> Collection[str]:
        return self._called_only_by(self._meta_graph.saver_def.restore_op_name)

    def _called_only_by(self, tensor: str) -> set[str]:
        """Return the functions that one node of the graph calls, and nothing else does.

        Neither may a signature, a collection or another node use the node.
        """
        name = _node_name(tensor)
        if name in self._used_nodes:
            return set()
        nodes = self._meta_graph.graph_def.node
        own = self._reachable(_functions_of(node for node in nodes if node.name == name))
        own = {
            function
            for function in own
            if set(self._functions[function].attr) <= _HARMLESS_ATTRIBUTES
        }
        outside = set(self._functions) - own
        outside |= set(self._meta_graph.object_graph_def.concrete_functions)
        outside |= set(_functions_of(node for node in nodes if node.name != name))
        return own - self._reachable(outside)

    @cached_property
    def _used_nodes(self) -> set[str]:
        """The nodes whose result another node, a signature or a collection uses."""
        meta_graph = self._meta_graph
        tensors = [name for node in meta_graph.graph_def.node for name in node.input]
        for signature in meta_graph.signature_def.values():
            tensors += [info.name for info in signature.outputs.values()]
        for collection in meta_graph.collection_def.values():
            tensors += collection.node_list.value
        return {_node_name(tensor) for tensor in tensors}

    def _reachable(self, names: Iterable[str]) -> set[str]:
        """Return functions and all that they call."""
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name in self._functions and name not in found:
                found.add(name)
                waiting += _functions_of(self._functions[name].node_def)
        return found

    def _is_argument(self, place: _Place, tensor: str) -> bool:
        return place.function is not None and tensor in self._arguments(place.function)

    def _arguments(self, function: str) -> list[str]:
        return [argument.name for argument in self._functions[function].signature.input_arg]

    def _may_assign(self, place: _Place, node: NodeDef) -> bool:
        """Return whether an assignment stores numbers, or the path of an asset.

        Variables of text hold paths of assets, so nothing else may be stored in one.
        """
        return node.attr["dtype"].type != _dt_string() or (
            place.function is None and self._is_asset_placeholder(_input(node, 1))
        )

    def _is_asset_placeholder(self, tensor: str) -> bool:
        name = _node_name(tensor)
        node = self._nodes_of_graph.get(name)
        return node is not None and node.op == PLACEHOLDER and name in self._asset_nodes

    @cached_property
    def _asset_nodes(self) -> set[str]:
        """The nodes that get the path of an asset at loading, and nothing else from a client."""
        meta_graph = self._meta_graph
        assets = {_node_name(asset.tensor_info.name) for asset in meta_graph.asset_file_def}
        inputs = {
            _node_name(info.name)
            for signature in meta_graph.signature_def.values()
            for info in signature.inputs.values()
        }
        return assets - inputs

    @cached_property
    def _nodes_of_graph(self) -> dict[str, NodeDef]:
        return {node.name: node for node in self._meta_graph.graph_def.node}

    def _table_problems(self, place: _Place, node: NodeDef) -> Iterator[str]:
        """Yield a phrase if a table may be filled from a file that is no asset."""
        seen: set[tuple[_Place, str]] = set()
        waiting = [(place, _input(node, FILE_NAME_INPUT))]
        while waiting:
            origin = waiting.pop()
            if origin in seen:
                continue
            seen.add(origin)
            callers = self._origins(*origin)
            if callers is None:
                yield f"{place} fills a table from a file that is no asset of the model"
                return
            waiting += callers

    def _origins(self, place: _Place, tensor: str) -> list[tuple[_Place, str]] | None:
        """Return where a file name comes from: the tensors that calls pass for an argument.

        None: it may be another name than an asset's.
        """
        if place.function is None:
            return [] if self._is_asset_path(tensor) else None
        if not self._is_argument(place, tensor):
            return None
        number = self._arguments(place.function).index(tensor)
        if not self._is_captured_asset(place.function, number):
            return None
        origins = []
        for caller, node in self._all_nodes():
            if place.function in _functions_of([node]):
                if node.op not in CALLS:
                    return None
                origins.append((caller, _input(node, number)))
        return origins

    def _is_asset_path(self, tensor: str) -> bool:
        """Return whether a tensor of the graph itself is the path of an asset."""
        node = self._nodes_of_graph.get(_node_name(tensor))
        if node is None:
            return False
        # What variables of text hold: `_may_assign`.
        reads_text = node.op == READ_VARIABLE and node.attr["dtype"].type == _dt_string()
        return reads_text or self._is_asset_placeholder(tensor)

    def _is_captured_asset(self, function: str, number: int) -> bool:
        """Return whether an argument is an asset whenever the object graph calls a function."""
        objects = self._meta_graph.object_graph_def
        if function not in objects.concrete_functions:
            return True
        bound = objects.concrete_functions[function].bound_inputs
        place = number - (len(self._arguments(function)) - len(bound))
        captured = bound[place] if place >= 0 else len(objects.nodes)
        return (
            captured < len(objects.nodes) and objects.nodes[captured].WhichOneof("kind") == _ASSET
        )


def _functions_of(nodes: Iterable[NodeDef]) -> list[str]:
    """Return the names of the functions that nodes refer to."""
    return [
        function.name
        for node in nodes
        for value in node.attr.values()
        for function in (value.func, *value.list.func)
        if function.name
    ]


def _node_name(tensor: str) -> str:
    """Return the node that makes a tensor of a graph: `a` of `a:1` and `^a`."""
    return tensor.removeprefix("^").partition(":")[0]


def _input(node: NodeDef, number: int) -> str:
    """Return the tensor that is an input of a node; an empty name if there is none."""
    return node.input[number] if number < len(node.input) else ""


def _is_plain_name(name: str) -> bool:
    return name not in ("", ".", "..") and not set(name) & {"/", "\\", "\0"}


def _show(name: str) -> str:
    return escape_terminal(name, _SHOWN_WIDTH)


def _dt_string() -> int:
    from tensorflow.core.framework.types_pb2 import DT_STRING

    return int(DT_STRING)
