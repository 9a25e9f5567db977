"""A graph of ONNX, built operation by operation."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

# The first with bitwise operations on integers, and the version of the format that goes with it.
_OPSET, _IR_VERSION = 18, 8
_TYPES = {"int64": onnx.TensorProto.INT64, "float32": onnx.TensorProto.FLOAT}

# A tensor of the graph by its name, or a constant. The types of operands are never mixed in ONNX,
# so that a constant is an array or a scalar of NumPy.
Operand = str | np.ndarray[Any, Any] | np.generic


class Graph:
    """Nodes and constants, in the order in which they were added; see `apply`.

    Names are given by the place of a node, so that the same calls make the same bytes.
    """

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def constant(self, values: np.ndarray[Any, Any] | np.generic) -> str:
        """Return the name of a new constant."""
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def apply(self, operation: str, *operands: Operand, **attributes: Any) -> str:
        """Return the output of an operation; attributes: those of ONNX."""
        [output] = self.apply_all(operation, 1, *operands, **attributes)
        return output

    def apply_all(
        self, operation: str, outputs: int, *operands: Operand, **attributes: Any
    ) -> list[str]:
        """Return the first outputs of an operation, as many as `outputs`."""
        inputs = [each if isinstance(each, str) else self.constant(each) for each in operands]
        prefix = f"{operation}_{len(self._nodes)}"
        names = [prefix] if outputs == 1 else [f"{prefix}_{n}" for n in range(outputs)]
        self._nodes.append(helper.make_node(operation, inputs, names, prefix, **attributes))
        return names

    def cast(self, tensor: str, dtype: str) -> str:
        """Return a tensor as another type, by the name that NumPy has for it."""
        return self.apply("Cast", tensor, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def take(self, values: Operand, places: str) -> str:
        """Return the rows of `values` at `places`, as `numpy.take` with axis 0."""
        return self.apply("Gather", values, places)

    def slice(self, tensor: str, start: int, end: int, axis: int) -> str:
        """Return a tensor from `start` to before `end` of an axis; from the end if negative."""
        bounds = (np.array([value]) for value in (start, end, axis))
        return self.apply("Slice", tensor, *bounds)

    def unsqueeze(self, tensor: str, *axes: int) -> str:
        """Return a tensor with new axes of size 1."""
        return self.apply("Unsqueeze", tensor, np.array(axes))

    def squeeze(self, tensor: str, axis: int) -> str:
        """Return a tensor without an axis of size 1."""
        return self.apply("Squeeze", tensor, np.array([axis]))

    def sum(self, tensor: str, *axes: int) -> str:
        """Return the sum over axes, which are no more."""
        return self.apply("ReduceSum", tensor, np.array(axes), keepdims=0)

    def to_model(
        self,
        inputs: dict[str, list[str | int]],
        outputs: dict[str, tuple[str, list[str | int]]],
        metadata: dict[str, str],
    ) -> onnx.ModelProto:
        """Return the model.

        Args:
            inputs: shapes by the name of a tensor of int64; a size that may be any has a name.
            outputs: by name the tensor of float32, and its shape.
            metadata: what the file says of the model.
        """
        for name, (tensor, _) in outputs.items():
            self._nodes.append(helper.make_node("Identity", [tensor], [name], name))
        graph = helper.make_graph(
            self._nodes,
            "charseq",
            [_describe(name, "int64", shape) for name, shape in inputs.items()],
            [_describe(name, "float32", shape) for name, (_, shape) in outputs.items()],
            self._constants,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", _OPSET)],
            ir_version=_IR_VERSION,
            producer_name="charseq",
        )
        helper.set_model_props(model, metadata)
        return model


def _describe(name: str, dtype: str, shape: list[str | int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, _TYPES[dtype], shape)
