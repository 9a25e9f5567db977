"""Connected components of a graph whose edges fit into memory."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]


class Components(NamedTuple):
    """The nodes of a graph that have an edge: (k,) uint64, ascending, and their components' roots.

    root: the least node of the component of each, (k,) uint64.
    """

    nodes: Hashes
    root: Hashes


def connect(first: Hashes, second: Hashes) -> Components:
    """Return the components of the graph of edges (n,) and (n,)."""
    nodes = np.unique(np.concatenate([first, second]))
    a, b = np.searchsorted(nodes, first), np.searchsorted(nodes, second)
    return Components(nodes, nodes[_find_roots(len(nodes), a, b)])


def _find_roots(nodes: int, a: Places, b: Places) -> Places:
    """Return the least node of each node's component: (nodes,) int64.

    Each round hooks the greater root of an edge under the lesser one, and shortens all paths.

    Args:
        nodes: their number.
        a: a node of each edge, (edges,) int64.
        b: the other one, (edges,) int64.
    """
    root = np.arange(nodes)
    while (root[a] != root[b]).any():
        low, high = np.minimum(root[a], root[b]), np.maximum(root[a], root[b])
        np.minimum.at(root, high, low)
        while (root[root] != root).any():
            root = root[root]
    return root
