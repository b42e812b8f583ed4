"""Tables of the model card, in Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from beliefmatch.runs.exports import Deployed, Export
from beliefmatch.runs.folder import Result

TITLES = {"onnx": "ONNX", "pt2": "torch.export", "safetensors": "safetensors, weights alone"}
TAKES = {None: "network inputs, float32", "uint8": "pixels, uint8", "unit": "pixels in [0, 1], float32"}


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Set rows under a heading; a bar within a text is escaped."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def file_table(exports: Mapping[str, Export]) -> str:
    """List files: what each is and how it answers, set beside the student in torch."""
    rows = [
        [
            f"`{name}`",
            TITLES[export.format],
            TAKES[export.pixels],
            f"{export.student.bytes:,}" if export.student.bytes else "?",
            *_checked(export),
        ]
        for name, export in exports.items()
    ]
    return table(("file", "format", "takes", "bytes", "compared on", "logit difference", "same class"), rows)


def _checked(export: Export) -> list[str]:
    checks = [check for check in (export.pseudo, export.images) if check is not None]
    return [
        "; ".join(f"{check.num_examples:,} {check.name}" for check in checks),
        "; ".join(f"{check.max_logit_difference:.2g} of {check.largest_logit:.3g}" for check in checks),
        "; ".join(percent(check.agreement) for check in checks),
    ]


def cost_table(exports: Mapping[str, Export], result: Result) -> str:
    """Set teacher and student side by side."""
    rows = [["parameters", f"{result.teacher_parameters:,}", f"{result.student_parameters:,}"]]
    macs = [(export.teacher.macs, export.student.macs) for export in exports.values()]
    teacher_macs, student_macs = macs[0] if macs else (result.teacher_macs, result.student_macs)
    rows.append(["MACs", _count(teacher_macs), _count(student_macs)])
    for name, export in exports.items():
        pair = export.teacher, export.student
        rows.append([f"bytes as `{name}`", *(_count(each.bytes) for each in pair)])
        rows.append([f"latency, torch, with `{name}`", *(_latency(each, "torch_latency") for each in pair)])
        if any(each.onnxruntime_latency for each in pair):
            rows.append([f"latency, onnxruntime, `{name}`", *(_latency(each, "onnxruntime_latency") for each in pair)])
    return table(("", "teacher (before)", "student (after)"), rows)


def _count(value: int | None) -> str:
    return "not measured" if value is None else f"{value:,}"


def _latency(deployed: Deployed, name: str) -> str:
    seconds = getattr(deployed, name)
    return "not measured" if seconds is None else f"{1e3 * seconds:.3g} ms"


def measured_table(result: Result, measurement: Mapping[str, Any] | None, exports: Mapping[str, Export]) -> str:
    """List what was measured on real data, each number with its interval; empty where nothing was."""
    rows: list[list[str]] = []
    found = measurement or {}
    if not found:
        pairs = (("accuracy", result.teacher_accuracy, result.student_accuracy),)
        rows += [
            [name, _maybe(first), _maybe(second)]
            for name, first, second in pairs
            if first is not None or second is not None
        ]
        if result.agreement is not None:
            rows.append(["agreement of both", "", percent(result.agreement)])
    for name, key in (("accuracy", "top1"), ("top-5 accuracy", "top5"), ("calibration error", "calibration_error")):
        cells = [_estimate((found.get(role) or {}).get(key)) for role in ("teacher", "student")]
        if any(cells):
            rows.append([name, *cells])
    if found.get("agreement"):
        rows.append(["agreement of both", "", _estimate(found["agreement"])])
    if found.get("divergence"):
        rows.append(["KL(teacher, student), nats", "", _estimate(found["divergence"], plain=True)])
    if walk := found.get("transition"):
        rows.append([f"mean transition error, {walk['guided_by']} guides", "", _estimate(walk["error"], plain=True)])
    for name, export in exports.items():
        if export.images is not None and export.images.accuracy is not None:
            place = f"{export.images.num_examples:,} examples of {export.images.name}"
            rows.append([f"accuracy of `{name}` on {place}", "", percent(export.images.accuracy)])
    return table(("", "teacher", "student"), rows) if rows else ""


def percent(fraction: float) -> str:
    """Show a fraction in percent."""
    return f"{100 * fraction:.2f} %"


def _maybe(fraction: float | None) -> str:
    return "" if fraction is None else percent(fraction)


def _estimate(estimate: Mapping[str, float] | None, *, plain: bool = False) -> str:
    if not estimate:
        return ""
    if plain:
        return "{value:.4f} ({low:.4f} to {high:.4f})".format(**estimate)
    value, low, high = (100 * estimate[name] for name in ("value", "low", "high"))
    return f"{value:.2f} % ({low:.1f} to {high:.1f})"
