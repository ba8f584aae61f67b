"""Models as ONNX, run by onnxruntime: trees, forests, and whatever else a library exports.

One thread per call, so that many requests share the machine and the same row gives the same bits. The graph's inputs are
taken as they are (float or double, one matrix); a classifier gives labels and probabilities, a regression one number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import onnxruntime

from penstock.errors import Corruption, UsageError
from penstock.models.prediction import Floats, Label, Scores, linked
from penstock.models.signature import Signature

FLOAT32_PLACES = 6
LINK_PROPERTY = (
    "penstock.link"  # Of a graph whose output is a sum yet: what makes a probability or number of it.
)
_TYPES = {"tensor(float)": numpy.float32, "tensor(double)": numpy.float64}


@dataclass(frozen=True, slots=True)
class OnnxModel:
    signature: Signature
    classes: tuple[Label, ...]
    session: Any
    input_name: str
    dtype: Any
    output: str  # The probabilities, or the numbers.
    link: str | None = None  # Where the graph's output is a sum of trees: see `linked`.

    def score_one(self, row: Sequence[float]) -> float | Sequence[float]:
        found = self._run(numpy.array([row], dtype=self.dtype))
        if found.ndim == 1:
            return float(found[0])
        return [float(each) for each in found[0]]

    def score(self, rows: Floats) -> Scores:
        return Scores(self._run(numpy.ascontiguousarray(rows, dtype=self.dtype)), self.classes)

    def _run(self, rows: Any) -> Floats:
        found = self.session.run([self.output], {self.input_name: rows})[0]
        if found.dtype == numpy.float32:
            # Float32 knows seven digits. Without the noise behind them ten trees of twenty make 0.5, as they do originally.
            found = numpy.round(found.astype(numpy.float64), FLOAT32_PLACES) if self.classes else found
        found = found.astype(numpy.float64)
        if self.link is not None:
            # onnxruntime's own exponential has other last bits for one row than for many (P2 of prediction.py).
            return linked(self.link, found if self.link == "softmax" else found[:, 0])
        if not self.classes:
            return numpy.asarray(found.reshape(len(rows)))
        return numpy.asarray(found[:, 1]) if len(self.classes) == 2 else numpy.asarray(found)


def load(content: bytes, signature: Signature, classes: Sequence[Label]) -> OnnxModel:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise Corruption(f"an ONNX model cannot be read: {error}") from error
    entry, output = _ends(session, classes)
    return OnnxModel(
        signature,
        tuple(classes),
        session,
        entry.name,
        _TYPES[entry.type],
        output.name,
        session.get_modelmeta().custom_metadata_map.get(LINK_PROPERTY),
    )


def _ends(session: Any, classes: Sequence[Label]) -> tuple[Any, Any]:
    """The one matrix that goes in, and what comes out: probabilities with classes, numbers without."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or inputs[0].type not in _TYPES:
        given = ", ".join(f"{each.name} {each.type}" for each in inputs)
        raise UsageError(f"an ONNX model takes one matrix of float or double, not {given}")
    output = outputs[-1] if classes else outputs[0]
    if output.type not in _TYPES:
        raise UsageError(
            f"the output {output.name} is {output.type}, not a matrix of float or double: "
            + ("convert with zipmap=False" if classes else "give the classes of a classifier")
        )
    return inputs[0], output
