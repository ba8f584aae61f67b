"""Two ONNX graphs as one: the steps of a pipeline that move and scale, and the estimator behind them.

Converted apart, each can have the precision that it has in scikit-learn: scalers compute in doubles, and most trees cut what
they are given to float32 before they compare. Converted together it is one or the other, and rows near a split go astray.
"""

from __future__ import annotations

import onnx
import onnx.compose
import onnx.helper

IR_VERSION = 10  # What onnxruntime 1.20 knows.


def joined(before: onnx.ModelProto, behind: onnx.ModelProto) -> onnx.ModelProto:
    """`before` gives one matrix, which `behind` takes, cut to the type that it takes."""
    held, after = onnx.ModelProto(), onnx.compose.add_prefix(behind, "behind/")
    held.CopyFrom(before)
    [given], [taken] = held.graph.output, after.graph.input
    kind = taken.type.tensor_type.elem_type
    if given.type.tensor_type.elem_type != kind:
        held.graph.node.append(onnx.helper.make_node("Cast", [given.name], ["cut"], to=kind))
        given.name, given.type.tensor_type.elem_type = "cut", kind
    # The gate sees it if an operator means something else in the later set.
    opsets: dict[str, int] = {}
    for each in (*held.opset_import, *after.opset_import):
        opsets[each.domain] = max(opsets.get(each.domain, 0), each.version)
    for model in (held, after):
        del model.opset_import[:]
        model.opset_import.extend(onnx.helper.make_opsetid(*each) for each in opsets.items())
        model.ir_version = IR_VERSION
    whole = onnx.compose.merge_models(held, after, io_map=[(given.name, taken.name)])
    onnx.helper.set_model_props(whole, {each.key: each.value for each in behind.metadata_props})
    return whole
