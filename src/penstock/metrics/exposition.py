"""The text page that Prometheus reads: version 0.0.4 of its exposition format.

# HELP penstock_records_handled_total Records that a handler took.
# TYPE penstock_records_handled_total counter
penstock_records_handled_total{consumer="reload"} 100
"""

from __future__ import annotations

from penstock.metrics.registry import Registry, Sample

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def text(registry: Registry) -> str:
    lines: list[str] = []
    for metric in registry.metrics():
        samples = [_line(sample) for sample in metric.samples()]
        if samples:
            meaning = metric.meaning.replace("\\", "\\\\").replace("\n", "\\n")
            lines += [f"# HELP {metric.name} {meaning}", f"# TYPE {metric.name} {metric.kind}", *samples]
    return "\n".join(lines) + "\n"


def _line(sample: Sample) -> str:
    labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in sample.labels)
    return (
        f"{sample.name}{{{labels}}} {_number(sample.value)}"
        if labels
        else f"{sample.name} {_number(sample.value)}"
    )


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    whole = abs(value) < 1e15 and value == int(value)
    return str(int(value)) if whole else repr(float(value)).replace("inf", "+Inf").replace("nan", "NaN")
