"""scikit-learn's histogram gradient boosting as one ONNX operator, in doubles throughout.

    X → TreeEnsemble (ai.onnx.ml 5) → + baseline → scores, of which onnx.py makes probabilities or numbers by their link

The converter that skl2onnx has for these estimators fails (its node ids are numpy's uint32, which onnx takes for no integers),
and it would cut thresholds to float32, where these trees compare doubles. One tree's nodes become:

    inner node   feature, threshold, where a missing value goes, and its two children: inner nodes or leaves
    leaf         its value, added to the sum of its class

A tree that is one leaf is an inner node whose two children are that leaf. Splits over categories are not converted.
"""

from __future__ import annotations

from typing import Any

import numpy
import onnx
import onnx.helper
import onnx.numpy_helper
import sklearn.ensemble

from penstock.errors import UsageError
from penstock.models.onnx import LINK_PROPERTY
from penstock.models.onnx_joining import IR_VERSION

ESTIMATORS = (
    sklearn.ensemble.HistGradientBoostingClassifier,
    sklearn.ensemble.HistGradientBoostingRegressor,
)
_OPSET = 21
_DOMAIN, _ML_OPSET = "ai.onnx.ml", 5
_LINKS = {
    "IdentityLink": "identity",
    "LogLink": "log",
    "LogitLink": "logistic",
    "MultinomialLogit": "softmax",
}


class _Ensemble:
    """The attributes of TreeEnsemble, filled tree by tree."""

    def __init__(self) -> None:
        self.roots: list[int] = []
        self.features: list[int] = []
        self.splits: list[float] = []
        self.missing_left: list[int] = []
        self.children: tuple[list[int], list[int]] = ([], [])
        self.child_is_leaf: tuple[list[int], list[int]] = ([], [])
        self.leaf_values: list[float] = []
        self.leaf_targets: list[int] = []

    def add(self, nodes: Any, target: int) -> None:
        inner, leaves = self._places(nodes, target)
        self.roots.append(len(self.splits))
        if not inner:
            self._add_inner(0, 0.0, 0, [(len(self.leaf_values) - 1, 1)] * 2)
            return
        for number in inner:
            node = nodes[number]
            if node["is_categorical"]:
                raise UsageError("its splits over categories have no ONNX form here")
            below = [
                (leaves[child], 1) if child in leaves else (inner[child], 0)
                for child in (int(node["left"]), int(node["right"]))
            ]
            self._add_inner(
                int(node["feature_idx"]), float(node["num_threshold"]), int(node["missing_go_to_left"]), below
            )

    def _places(self, nodes: Any, target: int) -> tuple[dict[int, int], dict[int, int]]:
        """Where each node will stand: inner nodes among inner nodes, leaves among leaves."""
        inner: dict[int, int] = {}
        leaves: dict[int, int] = {}
        for number, node in enumerate(nodes):
            if node["is_leaf"]:
                leaves[number] = len(self.leaf_values)
                self.leaf_values.append(float(node["value"]))
                self.leaf_targets.append(target)
            else:
                inner[number] = len(self.splits) + len(inner)
        return inner, leaves

    def _add_inner(self, feature: int, split: float, missing_left: int, below: list[tuple[int, int]]) -> None:
        self.features.append(feature)
        self.splits.append(split)
        self.missing_left.append(missing_left)
        for side, (place, is_leaf) in enumerate(below):
            self.children[side].append(place)
            self.child_is_leaf[side].append(is_leaf)

    def attributes(self, targets: int) -> dict[str, Any]:
        doubles, modes = numpy.float64, numpy.zeros(len(self.splits), dtype=numpy.uint8)  # 0: BRANCH_LEQ
        tensor = onnx.numpy_helper.from_array
        return {
            "n_targets": targets,
            "tree_roots": self.roots,
            "nodes_featureids": self.features,
            "nodes_splits": tensor(numpy.array(self.splits, dtype=doubles), "nodes_splits"),
            "nodes_modes": tensor(modes, "nodes_modes"),
            "nodes_missing_value_tracks_true": self.missing_left,
            "nodes_truenodeids": self.children[0],
            "nodes_falsenodeids": self.children[1],
            "nodes_trueleafs": self.child_is_leaf[0],
            "nodes_falseleafs": self.child_is_leaf[1],
            "leaf_weights": tensor(numpy.array(self.leaf_values, dtype=doubles), "leaf_weights"),
            "leaf_targetids": self.leaf_targets,
        }


def graph_of(estimator: Any, width: int) -> onnx.ModelProto:
    """A fitted estimator of ESTIMATORS: `inputs` (rows × width, doubles) → `scores`, before their link."""
    if getattr(estimator, "is_categorical_", None) is not None:
        raise UsageError("its categorical features have no ONNX form here")
    link = type(estimator._loss.link).__name__
    if link not in _LINKS:
        raise UsageError(f"its loss has a link, {link}, that has no ONNX form here")
    ensemble = _Ensemble()
    for trees in estimator._predictors:
        for target, tree in enumerate(trees):
            ensemble.add(tree.nodes, target)
    baseline = numpy.asarray(estimator._baseline_prediction, dtype=numpy.float64).reshape(1, -1)
    targets = baseline.shape[1]
    node = onnx.helper.make_node
    nodes = [
        node("TreeEnsemble", ["inputs"], ["sums"], domain=_DOMAIN, **ensemble.attributes(targets)),
        node("Add", ["sums", "baseline"], ["scores"]),
    ]
    constants = [onnx.numpy_helper.from_array(baseline, "baseline")]
    double, info = onnx.TensorProto.DOUBLE, onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes,
        "histogram boosting",
        [info("inputs", double, [None, width])],
        [info("scores", double, [None, None])],
        constants,
    )
    opsets = [onnx.helper.make_opsetid("", _OPSET), onnx.helper.make_opsetid(_DOMAIN, _ML_OPSET)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    onnx.helper.set_model_props(model, {LINK_PROPERTY: _LINKS[link]})
    return model
