"""A trace with the way forward: which operators read what an operator computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

from cifar_report.analyzer.graph import Node, Trace, Value

Test = Callable[[Node], bool]


class Dataflow:
    """Consumers of every value, and walks along them. Each walk takes linear time.

    Args:
        trace: any.
        layer_name: names the layer of a node.
    """

    def __init__(self, trace: Trace, layer_name: Callable[[int], str]) -> None:
        self.trace = trace
        self.layer_name = layer_name
        self._next: dict[object, list[int]] = {}

    @cached_property
    def consumers(self) -> dict[int, list[Node]]:
        """The nodes that read a value, by its id."""
        found: dict[int, list[Node]] = {}
        for node in self.trace.nodes:
            for value in node.live_inputs:
                readers = found.setdefault(value.id, [])
                if not readers or readers[-1] is not node:
                    readers.append(node)
        return found

    def name(self, node: Node) -> str:
        """Return the name of a node's layer."""
        return self.layer_name(node.index)

    def after(self, node: Node) -> Iterator[Node]:
        """Yield the nodes that read an output of a node."""
        for value in node.outputs:
            yield from self.consumers.get(value.id, ())

    def first_descendant(self, node: Node, key: object, test: Test) -> Node | None:
        """Return the first node that depends on a node and passes a test.

        Args:
            node: where to start, exclusive.
            key: names the test, so that one pass over the trace serves all nodes that ask.
            test: the test.
        """
        nodes = self.trace.nodes
        known = self._next.get(key)
        if known is None:
            # By producer: nodes count from the front, the network's inputs from the end.
            known = self._next[key] = [len(nodes)] * (len(nodes) + len(self.trace.inputs))
            for child in reversed(nodes):
                first = child.index if test(child) else known[child.index]
                if first < len(nodes):
                    for value in child.live_inputs:
                        if first < known[value.producer]:
                            known[value.producer] = first
        found = known[node.index]
        return nodes[found] if found < len(nodes) else None

    def descendants(self, node: Node, seen: set[int]) -> Iterator[Node]:
        """Yield the nodes that depend on a node, but for those seen before, which become seen."""
        front = [node]
        found = []
        while front:
            for child in self.after(front.pop()):
                if child.index not in seen:
                    seen.add(child.index)
                    front.append(child)
                    found.append(child)
        yield from sorted(found, key=lambda child: child.index)

    def reached_through(self, node: Node, passes: Callable[[Node, set[int]], bool]) -> list[Node]:
        """Return the first nodes behind a node that don't pass its output on.

        Args:
            node: where to start.
            passes: whether a node passes it on; it is told the ids of the values that carry it.
        """
        carried: set[int] = {value.id for value in node.outputs}
        waiting = {child.index: child for child in self.after(node)}
        reached: list[Node] = []
        while waiting:
            child = waiting.pop(min(waiting))
            if not passes(child, carried):
                reached.append(child)
                continue
            carried.update(value.id for value in child.outputs)
            waiting.update({later.index: later for later in self.after(child)})
        return reached


def map_size(value: Value) -> tuple[int, ...]:
    """Return the size of a map of shape (N, C, ...); empty for what has no map."""
    return value.shape[2:]
