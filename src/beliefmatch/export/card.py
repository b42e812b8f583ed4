"""The model card: README.md beside exported files, made anew of what the run folder says."""

import hashlib
import re
from pathlib import Path

import jinja2

from beliefmatch.errors import BeliefMatchError, FolderError
from beliefmatch.export.card_tables import cost_table, file_table, measured_table
from beliefmatch.export.card_words import (
    limits,
    measured_on,
    method_lines,
    needs,
    notes_on_costs,
    notes_on_files,
    unmeasured,
)
from beliefmatch.export.normalising import KNOWN_FROM, best_known, spec_of
from beliefmatch.export.snippets import normalisation, shown, snippet
from beliefmatch.runs.atomic import write_bytes
from beliefmatch.runs.exports import Export
from beliefmatch.runs.folder import read_json
from beliefmatch.training.run_folder import RunFolder

TEMPLATES = Path(__file__).parent / "templates"
CARD = "README.md"
MARKER = "<!-- beliefmatch export wrote this card of run {run}; with other text than {text} it is yours and is kept -->"
MARKED = re.compile(r"<!-- beliefmatch export wrote this card of run (\w+); with other text than (\w+) .*?-->")
"""Of which run a card is, and the checksum by which a change by hand is seen."""


def check_card(folder: RunFolder, place: Path, *, overwrite: bool) -> None:
    """Check that a card of a run can be made, and may be written in a folder.

    Raises:
        FolderError: a file of the run is damaged, or there is a card that somebody wrote or changed by hand, or one of
            another run.
    """
    try:
        _render(folder, _exports_in(folder, place))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, BeliefMatchError):
            raise
        files = ", ".join(path.name for path in (folder.run, folder.student_facts, folder.measurement))
        raise FolderError(f"{files} of {folder.path} do not fit together or are damaged: {error!r}") from error
    path = place / CARD
    if overwrite or not path.exists():
        return
    text = path.read_text(errors="replace")
    found = MARKED.search(text)
    if found is None or _checksum(MARKED.sub("", text)) != found[2]:
        whose = "was written by hand" if found is None else "was changed by hand"
        raise FolderError(f"{path} {whose} and a model card would replace it: name another --out, or add --overwrite")
    if found[1] != _run_name(folder):
        raise FolderError(f"{path} is the model card of another run: name another --out, or add --overwrite")


def write_card(folder: RunFolder, place: Path) -> Path:
    """Write the card of all files that a run exported into a folder.

    Args:
        folder: of the run.
        place: folder of the files.

    Returns:
        The card.

    Raises:
        FolderError: it cannot be written.
    """
    text = _render(folder, _exports_in(folder, place))
    marker = MARKER.format(run=_run_name(folder), text=_checksum(text.replace(MARKER, "")))
    path = place / CARD
    write_bytes(path, text.replace(MARKER, marker).encode())
    return path


def _exports_in(folder: RunFolder, place: Path) -> dict[str, Export]:
    """Give the exports whose files lie in a folder, by their names."""
    exports = folder.read_result().exports or {}
    paths = {folder.path / name: export for name, export in exports.items()}
    here = {path.name: export for path, export in paths.items() if path.parent.resolve() == place.resolve()}
    return {name: here[name] for name in sorted(here) if (place / name).is_file()}


def _run_name(folder: RunFolder) -> str:
    return hashlib.sha256(folder.student.read_bytes()).hexdigest()[:16]


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _render(folder: RunFolder, exports: dict[str, Export]) -> str:
    # The card tells what the settings are; no network is made from them.
    transfer = folder.read_transfer(trust_code=True)
    result, measurement = folder.read_result(), folder.read_measurement()
    facts, student, run_spec = folder.read(), read_json(folder.student_facts), transfer.inputs
    specs = {name: spec_of(export, run_spec) for name, export in exports.items()}
    # What was said at an export goes before the run, and the last export before the others.
    spec = best_known([*reversed(specs.values()), run_spec])
    architecture, num_classes = student["architecture"], student["num_classes"]
    constants = normalisation(spec)
    licence = next((export.teacher_license for export in exports.values() if export.teacher_license), None)
    is_free = not transfer.source.reads_data
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("card.md").render(
        marker=MARKER,
        licence=licence,
        is_free=is_free,
        student=shown(architecture),
        teacher=shown(transfer.teacher.architecture),
        files=file_table(exports),
        file_notes=notes_on_files(exports, run_spec),
        shape=spec.shape,
        is_image=spec.is_made_of_pixels,
        is_normalised=spec.mean is not None or spec.std is not None,
        is_normalisation_known=spec.is_normalisation_known,
        mean=constants[0],
        std=constants[1],
        known_from=KNOWN_FROM[spec.normalisation_from],
        num_classes=num_classes,
        snippets=[
            (name, needs(export, architecture), snippet(name, export, specs[name], architecture, num_classes))
            for name, export in exports.items()
        ],
        costs=cost_table(exports, result),
        cost_notes=notes_on_costs(exports),
        method=method_lines(transfer, facts, result, licence),
        measured=measured_table(result, measurement, exports),
        measured_on=measured_on(measurement),
        unmeasured=unmeasured(result, measurement, exports),
        limits=limits(measurement, exports, is_free=is_free, run_spec=run_spec, spec=spec),
    )
