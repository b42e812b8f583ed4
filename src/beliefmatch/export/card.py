"""The model card beside exported files, made anew from the run folder. Its text is templates/card.md.

In a folder of exported files it is README.md, as hubs of models have it; beside a file that the user named, which may
lie in a folder with a README.md of another kind, it is called after the file.
"""

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import Any

import jinja2

from beliefmatch.errors import FolderError
from beliefmatch.export.base import Format, without_folder
from beliefmatch.export.formats import FORMATS, check_format
from beliefmatch.export.markdown import code, escape
from beliefmatch.export.normalising import KNOWN_FROM, best_known, constants_of, spec_of
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.network import Network
from beliefmatch.networks.output_kinds import kind_of
from beliefmatch.number_texts import three_digits
from beliefmatch.recipes.citations import PAPERS
from beliefmatch.recipes.stored import read_transfer
from beliefmatch.runs.atomic import write_bytes
from beliefmatch.runs.folder import RunFolder
from beliefmatch.runs.reading import MAX_BYTES, hash_file, read_bytes
from beliefmatch.runs.schema.export import Export, FileCheck, describe_checks
from beliefmatch.runs.schema.measurement import INTERVALS, LABEL_TITLES, NUMBER_TITLES
from beliefmatch.runs.schema.task import TaskName
from beliefmatch.setting_names import Setting
from beliefmatch.students.given import GivenStudent
from beliefmatch.training.transfer import Transfer

TEMPLATES = Path(__file__).parent / "templates"
CARD = "README.md"
MARKER = "<!-- beliefmatch export wrote this card of run {run}; with other text than {text} it is yours and is kept -->"
MARKED = re.compile(r"<!-- beliefmatch export wrote this card of run (\w+); with other text than (\w+) .*?-->")
"""Of which run a card is, and the checksum by which a change by hand is seen."""
TAKES = {None: "network inputs, float32", "uint8": "pixels, uint8", "unit": "pixels in [0, 1], float32"}
SAME: dict[TaskName, str] = {
    "single_label": "same class",
    "multi_label": "same labels",
    "regression": "same numbers",
}
OFTEN: dict[TaskName, str] = {
    "single_label": "both gave the same class",
    "multi_label": "both predicted a label alike",
    "regression": "a number was equal but for rounding",
}
GIVES: dict[TaskName, str] = {
    "single_label": "{} logits in the teacher's order of classes: their softmax gives the probabilities.",
    "multi_label": "{} logits, before any sigmoid, in the teacher's order of labels; several labels may be true at "
    "once, and one is predicted where its logit is above 0.",
    "regression": "{} numbers to predict, in the teacher's order and unit; an ONNX file calls them logits.",
}
"""By what outputs predict: what the card says of them."""
OF_ORIGIN = {
    "timm": "`pip install 'beliefmatch[timm]'`",
    "torchvision": "`pip install beliefmatch torchvision`",
    "hf": "`pip install 'beliefmatch[hf]'`",
}
"""What makes the networks of others."""


def card_of(file: Path, out: Path | None) -> Path:
    """Return the path of the card of an exported file.

    Args:
        file: that is exported.
        out: what the user named: the file itself, its folder, or None.
    """
    return file.with_suffix(".md") if out == file else file.parent / CARD


def check_card(folder: RunFolder, path: Path, *, overwrite: bool) -> None:
    """Check that a run holds what its card needs, and that the card may be written.

    Args:
        folder: of the run.
        path: of the card.
        overwrite: whether a card that is there may be replaced, whoever wrote it.

    Raises:
        FolderError: a file of the run is damaged, or there is a card that somebody wrote or changed by hand, or one of
            another run, or it is no regular file.
    """
    _read_network(folder)
    folder.read_measurement()
    if not path.exists():
        return
    text = read_bytes(path, MAX_BYTES).decode(errors="replace")
    if overwrite:
        return
    found = MARKED.search(text)
    if found is None or _checksum(MARKED.sub("", text)) != found[2]:
        whose = "was written by hand" if found is None else "was changed by hand"
        raise FolderError(
            f"{path} {whose} and a model card would replace it: name another {Setting('out')}, or add "
            f"{Setting('overwrite', value=True)}"
        )
    if found[1] != _run_name(folder):
        raise FolderError(
            f"{path} is the model card of another run: name another {Setting('out')}, or add "
            f"{Setting('overwrite', value=True)}"
        )


def write_card(folder: RunFolder, path: Path) -> Path:
    """Write the card of all files that a run exported into a folder, or of those that it is called after.

    Args:
        folder: of the run.
        path: of the card, see `card_of`.

    Returns:
        The card.

    Raises:
        FolderError: it cannot be written.
    """
    text = _render(folder, path)
    marker = MARKER.format(run=_run_name(folder), text=_checksum(text.replace(MARKER, "")))
    write_bytes(path, text.replace(MARKER, marker).encode())
    return path


@dataclass(frozen=True, kw_only=True)
class File:
    """One exported file, as the card shows it."""

    name: str
    export: Export
    spec: InputSpec
    """Of its inputs."""
    network: Network
    """How beliefmatch builds the student, but for its weights."""

    @property
    def format(self) -> Format:
        """How it was written."""
        return FORMATS[check_format(self.export.format)]

    @property
    def checks(self) -> list[tuple[str, FileCheck]]:
        """What it was compared on, in words, and what was found."""
        return describe_checks(self.export.pseudo, self.export.images)

    @property
    def code(self) -> str:
        """Python that loads it."""
        return "\n".join(self.format.write_code(self.name, self.export.pixels, self.spec, self.network))

    @property
    def needs(self) -> str:
        """What must be installed, or lie beside it, to load it."""
        prefix, _, rest = self.network.architecture.partition(":")
        if self.format.holds_graph or not rest:
            return self.format.needs
        installed, known_as = OF_ORIGIN.get(prefix, self.format.needs), without_folder(self.network.architecture)
        if prefix == "hf" and PurePath(rest).is_absolute():
            folder = known_as.removeprefix("hf:").partition("?")[0]
            return f"{installed}, and the folder {code(folder)} with the network's config.json beside it"
        if prefix not in OF_ORIGIN:
            module = known_as.rpartition(":")[0]
            where = "beside it" if module.endswith(".py") else "too"
            return f"{installed}, and {code(module)}, which makes the network, {where}"
        return installed


def _read_network(folder: RunFolder) -> Network:
    student = folder.read_student()
    return Network(
        architecture=student.architecture,
        num_classes=student.num_classes,
        outputs=kind_of(student.task, student.outputs),
        output=student.output,
    )


def _files_of(folder: RunFolder, card: Path, spec: InputSpec, network: Network) -> list[File]:
    """Return the exported files of a run that a card is of, by their names."""
    exports = folder.read_result().exports or {}
    paths = {folder.path / name: export for name, export in exports.items()}
    here = os.path.realpath(card.parent)
    found = {path.name: export for path, export in paths.items() if os.path.realpath(path.parent) == here}
    return [
        File(name=name, export=found[name], spec=spec_of(found[name], spec), network=network)
        for name in sorted(found)
        if (card.parent / name).is_file() and card.name in (CARD, Path(name).with_suffix(".md").name)
    ]


def _student_name(folder: RunFolder, transfer: Transfer) -> str:
    metadata = folder.read_student()
    name = without_folder(metadata.architecture)
    return f"{transfer.student.architecture} of {name}" if metadata.is_made_of_teacher else name


def _run_name(folder: RunFolder) -> str:
    return hash_file(folder.student)[:16]


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _render(folder: RunFolder, card: Path) -> str:
    # The card shows what the settings are; no network is made from them.
    transfer = read_transfer(folder, trust_code=True)
    metadata, network = asdict(folder.read_run()), _read_network(folder)
    files, measured = _files_of(folder, card, transfer.inputs, network), folder.read_measurement()
    measurement = None if measured is None else asdict(measured)
    # What the user gave at an export goes before the run, and the last export before the others.
    spec = best_known([*(file.spec for file in reversed(files)), transfer.inputs])
    images = [file.export.images for file in files if file.export.images is not None]
    measured_on = [measurement["images"]] if measurement and measurement["images"] else []
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= FILTERS
    return environment.get_template("card.md").render(
        marker=MARKER,
        TAKES=TAKES,
        KNOWN_FROM=KNOWN_FROM,
        INTERVALS=INTERVALS,
        transfer=transfer,
        papers="; ".join(paper.to_text() for paper in PAPERS[type(transfer.source)]),
        settings=metadata["settings"],
        versions=metadata["versions"],
        result=folder.read_result(),
        measurement=measurement,
        files=files,
        network=network,
        trained=folder.read_student(),
        SAME=SAME,
        OFTEN=OFTEN,
        GIVES=GIVES,
        LABEL_TITLES=LABEL_TITLES,
        NUMBER_TITLES=NUMBER_TITLES,
        student=_student_name(folder, transfer),
        has_own_weights=transfer.student.weights is not None or isinstance(transfer.student, GivenStudent),
        teacher=without_folder(transfer.teacher.architecture),
        licence=next((file.export.teacher_license for file in files if file.export.teacher_license), None),
        is_free=not transfer.source.reads_data,
        spec=spec,
        constants=constants_of(spec),
        has_accuracy=any(check.accuracy is not None for check in images),
        data=sorted({*measured_on, *(check.name for check in images)}),
    )


FILTERS: dict[str, Callable[[Any], str]] = {
    "cell": lambda text: text.replace("|", r"\|"),
    "code": code,
    "text": escape,
    "count": lambda value: "not measured" if value is None else f"{value:,}",
    "latency": lambda seconds: "not measured" if seconds is None else f"{three_digits(1e3 * seconds)} ms",
    "percent": lambda fraction: "" if fraction is None else f"{100 * fraction:.2f} %",
    "type_name": lambda value: type(value).__name__,
}
"""How the template shows values."""
