"""What the model card says in words: the method, what was not measured, where the limits are."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from beliefmatch.export.normalising import KNOWN_FROM, spec_of
from beliefmatch.export.snippets import shown
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.runs.exports import Export
from beliefmatch.runs.folder import Result
from beliefmatch.training.transfer import Transfer

NEEDS = {
    "onnx": "`pip install numpy onnxruntime`, and neither torch nor beliefmatch",
    "pt2": "`pip install torch`, and not beliefmatch",
    "safetensors": "`pip install beliefmatch`",
}
OF_ORIGIN = {
    "timm": "`pip install 'beliefmatch[timm]'`",
    "torchvision": "`pip install beliefmatch torchvision`",
    "hf": "`pip install 'beliefmatch[hf]'`",
}
"""What makes the networks of others."""


def needs(export: Export, architecture: str) -> str:
    """Say what must be installed, or lie beside it, to load a file."""
    if export.format != "safetensors":
        return NEEDS[export.format]
    prefix, _, rest = architecture.partition(":")
    installed = OF_ORIGIN.get(prefix, NEEDS["safetensors"])
    if prefix == "hf" and PurePath(rest).is_absolute():
        folder = shown(architecture).removeprefix("hf:").partition("?")[0]
        return f"{installed}, and the folder {folder} with the network's config.json beside it"
    if rest and prefix not in OF_ORIGIN:
        place = shown(architecture).rpartition(":")[0]
        return f"{installed}, and {place}, which makes the network, {'beside it' if place.endswith('.py') else 'too'}"
    return installed


def notes_on_files(exports: Mapping[str, Export], inputs: InputSpec) -> list[str]:
    """Say what wrote each file, how it normalises pixels, and which inputs that it was compared on are not pseudo."""
    notes = []
    for name, export in exports.items():
        versions = ", ".join(f"{package} {version}" for package, version in export.versions.items())
        inside = ""
        if export.pixels is not None and export.normalisation_from is not None:
            spec = spec_of(export, inputs)
            inside = (
                f" Its normalisation inside: {spec.describe_normalisation()}, {KNOWN_FROM[spec.normalisation_from]}."
            )
        noise = f" Of its inputs {export.num_noise} were standard normal noise: {export.why_noise}."
        notes.append(f"- `{name}`: {versions}; SHA-256 `{export.sha256}`.{inside}{noise if export.num_noise else ''}")
    return notes


def notes_on_costs(exports: Mapping[str, Export]) -> list[str]:
    """Say how many threads there were, and why numbers of the teacher are missing."""
    threads = sorted({export.threads for export in exports.values()})
    missing = [f"Numbers of the teacher are missing: {export.why_no_teacher}." for export in exports.values()]
    known = [line for line, export in zip(missing, exports.values(), strict=True) if export.why_no_teacher]
    return [f"Threads: {', '.join(map(str, threads))}.", *dict.fromkeys(known)]


def method_lines(transfer: Transfer, facts: Mapping[str, Any], result: Result, licence: str | None) -> list[str]:
    """Say who taught, how, and with what."""
    teacher, settings, versions = transfer.teacher, facts["settings"], facts.get("versions") or {}
    usual = "" if result.budget is None else f", {result.budget:.3g} of those that the recipe usually does"
    weights = f"weights `{teacher.weights.name}`, " if teacher.weights else ""
    return [
        f"Teacher: `{shown(teacher.architecture)}`, {weights}SHA-256 over names and bytes of its tensors "
        f"`{settings['teacher_sha256']}`.",
        f"Licence of the teacher: {licence or 'not given'}.",
        f"Recipe: `{transfer.recipe}`; inputs from `{type(transfer.source).__name__}` ({transfer.source.citation}); "
        f"objective `{type(transfer.objective).__name__}`.",
        f"{result.rounds:,} rounds{usual}, {transfer.batch_size:,} examples a batch, seed {transfer.seed}, "
        f"{result.seconds:,.0f} s on {settings.get('device', 'an unknown device')} in "
        f"{settings.get('precision', 'an unknown precision')}.",
        f"Versions: {', '.join(f'{name} {version}' for name, version in versions.items())}.",
        "All settings are in `run.json` of the run folder.",
    ]


def measured_on(measurement: Mapping[str, Any] | None) -> str:
    """Say what the numbers with intervals were measured on."""
    if not measurement:
        return ""
    where = f" of `{measurement['images']}`" if measurement.get("images") else ""
    return f"On {measurement['num_images']:,} examples{where}, with bootstrap 95 % intervals over examples."


def unmeasured(result: Result, measurement: Mapping[str, Any] | None, exports: Mapping[str, Export]) -> list[str]:
    """List what nobody measured, so that no reader takes silence for a good number."""
    found = measurement or {}
    seen = any(export.images is not None and export.images.accuracy is not None for export in exports.values())
    missing = {
        "Accuracy of the student on real data.": result.student_accuracy is None and not seen,
        "Accuracy of the teacher on real data.": result.teacher_accuracy is None,
        "Agreement of student and teacher on real data.": result.agreement is None,
        "Calibration.": not found.get("student"),
        "Where the two part between classes (mean transition error).": not found.get("transition"),
    }
    lines = [line for line, is_missing in missing.items() if is_missing]
    lines += [
        f"`{name}` was not compared with the student on real data."
        for name, export in exports.items()
        if export.images is None
    ]
    return [
        *lines,
        "Latency on any other machine, on accelerators, and of larger batches.",
        "Robustness to noise, corruption or attack; inputs of another kind than the teacher's; fairness.",
    ]


def limits(
    measurement: Mapping[str, Any] | None,
    exports: Mapping[str, Export],
    *,
    is_free: bool,
    run_spec: InputSpec,
    spec: InputSpec,
) -> list[str]:
    """Say what the numbers do not: of a run of `run_spec`, whose files take inputs of `spec`."""
    images = sorted(set(_image_names(measurement, exports)))
    return [
        "The student copies the teacher, with its mistakes and biases, and adds some of its own.",
        "It is made of the teacher's weights: what the teacher's licence asks holds for it too.",
        *(
            ["That it agrees with the teacher on pseudo inputs, or a file with it, says nothing about real data."]
            if is_free
            else []
        ),
        *(
            []
            if spec.is_normalisation_known
            else ["The normalisation was only assumed: if it is another, answers to images and numbers are wrong."]
        ),
        *(
            []
            if (spec.mean, spec.std) == (run_spec.mean, run_spec.std)
            else [
                "The run, and whatever `measure` found, had another normalisation than the files: "
                f"{run_spec.describe_normalisation()}. Numbers with one do not hold with the other."
            ]
        ),
        (
            f"What was measured holds for {_listed(images)} and for data like it, not for other data."
            if images
            else "Nothing here says how it does on real data: measure it on yours before you use it."
        ),
        "A file agrees with the student to rounding on what it was compared on; another runtime, device or precision "
        "may differ.",
    ]


def _image_names(measurement: Mapping[str, Any] | None, exports: Mapping[str, Export]) -> Sequence[str]:
    measured = [measurement["images"]] if measurement and measurement.get("images") else []
    return [*measured, *(export.images.name for export in exports.values() if export.images is not None)]


def _listed(names: Sequence[str]) -> str:
    return " and ".join(f"`{name}`" for name in names)
