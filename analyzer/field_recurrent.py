"""How shadows follow recurrent layers: along time, everything before, or everything when bidirectional."""

from __future__ import annotations

from cifar_report.analyzer.field_mixing import mark_global
from cifar_report.analyzer.field_moves import joined
from cifar_report.analyzer.field_views import with_dim, without_dim
from cifar_report.analyzer.graph import Node, Value
from cifar_report.analyzer.receptive_field import Lookup, NoRule, Shadows, field_rule
from cifar_report.analyzer.shadow import Shadow
from cifar_report.analyzer.shadow_union import accumulated, hull


@field_rule("lstm", "gru", "rnn_tanh", "rnn_relu")
def _recurrent(node: Node, shadows: Lookup) -> list[Shadows]:
    """(T, B, I), or batch first, to outputs at every time and the last states of every layer."""
    value, states = node.args[:2]
    params = node.args[2]
    if not isinstance(params, list) or len(node.live_inputs) > 1 or not value.live:
        raise NoRule  # packed sequences, states that depend on the image
    if isinstance(states, Value) and states.live:
        raise NoRule
    layers, _, _, bidirectional, batch_first = node.args[4:9]
    if len(value.shape) != 3:
        raise NoRule
    time = 1 if batch_first else 0
    out = node.outputs[0].shape
    outputs, ends = [], []
    for shadow in shadows(value):
        features = hull(shadow, value.shape, [2])
        shape = (*value.shape[:2], 1)
        forwards = accumulated(features, shape, time)
        backwards = accumulated(features, shape, time, backwards=True)
        whole = mark_global(hull(features, shape, [time]), [shadow], out, node.index)
        if not bidirectional:
            outputs.append(forwards)
        elif layers > 1:
            outputs.append(whole)
        else:
            half = (*out[:2], out[2] // 2)
            outputs.append(joined([forwards, backwards], [half, half], 2))
        ends.append(_state(whole, time))
    return [tuple(outputs), *[tuple(ends)] * (len(node.outputs) - 1)]


def _state(whole: Shadow, time: int) -> Shadow:
    """Return the shadow of (layers * directions, B, H), each of which saw the whole sequence."""
    return with_dim(without_dim(whole, time), 0)
