"""Pairs of students that longer runs left, and of networks in 8 bits, for the estimates that `trust.py` judges.

    python benchmarks/trust_kept.py --kept runs [--parts kept eight_bits] [--tasks digits mnist ...]

`kept` takes the students of finished runs of `accuracy.py` and `pruning.py`, of this or an earlier version, below a
folder, and checkpoints of others that somebody copied while they ran; a student made of its teacher also as it was
before any step; and good ones of CIFAR-10 broken on purpose, too. A run whose teacher is not here, or is another by its
weights, is left out. `eight_bits` writes each task's teacher, and one kept student of it, in 8 bits for onnxruntime: as
`beliefmatch quantize` does, and calibrated on noise, or on noise so small that ranges are cut. Pairs go to --pairs;
those there are not computed again. Then `trust.py --judge-only` judges all. The last line is one JSON object: {"pairs",
"new"}.
"""

import argparse
import copy
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from beliefmatch import load_student
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.network import Network, make_network
from beliefmatch.networks.teacher import Teacher
from beliefmatch.runs.folder import TEACHER_FILE
from beliefmatch.students.base import build_student
from beliefmatch.students.pruned import PrunedStudent
from beliefmatch.training.run_settings import fingerprint
from machine import RESULTS
from tasks import TASKS
from trust import Ground, Pairs, make_ground, note, public_network
from trust_eight_bits import in_8_bits
from trust_maps import IN_8_BITS
from trust_tasks import PUBLIC, PUBLIC_STUDENTS, RECIPES, TRAINED, broken, trained_weights

STUDENT_FILE = "student.safetensors"
NUM_CLASSES = 10
FIRST = "seed_0"
"""Folder of the first of the runs that differ in their seed alone."""
TASK_OF = {**{name: name for name in TRAINED}, "cifar10_wrn": PUBLIC, "cifar10_wrn_3h": PUBLIC, "resnet20": PUBLIC}
"""Task by how the name of a folder of runs begins; the longest beginning counts."""
GOOD = 0.6
"""Agreement from which a student of CIFAR-10 is broken on purpose, too."""
WITH_PUBLIC_STUDENTS = "wrn40_1_ferles_s0"
"""Teacher of kept runs with which public students are compared besides."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kept", type=Path, required=True, help="folder of folders of runs")
    parser.add_argument("--parts", choices=("kept", "eight_bits"), nargs="+", default=["kept", "eight_bits"])
    parser.add_argument("--tasks", choices=[*TRAINED, PUBLIC], nargs="+", default=[*TRAINED, PUBLIC])
    parser.add_argument("--inputs", type=int, default=512, help="made of each family to probe a teacher with")
    parser.add_argument("--examples", type=int, default=3000, help="real ones, at most, for the truth")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--folder", type=Path, default=Path("runs/trust"))
    parser.add_argument("--pairs", type=Path, default=RESULTS / "trust_pairs.jsonl")
    return parser.parse_args()


@dataclass(frozen=True)
class KeptRun:
    """The folder of a run, which may be of an earlier version."""

    folder: Path
    task: str
    """Whose pairs it is one of."""

    @property
    def name(self) -> str:
        """The three last parts of its folder's path: of which time, of what, and the seed."""
        return "kept_" + "_".join(self.folder.parts[-3:])

    @property
    def recipe(self) -> str:
        """What its student is compared with others as."""
        kind = self.folder.parts[-2]
        return next((f"kept_{each}" for each in ("fresh", "thin") if f"_{each}_" in kind), "kept")

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Of run.json; only what all versions have is read."""
        return json.loads((self.folder / "run.json").read_text())["settings"]

    @property
    def teacher_name(self) -> str:
        """What the file of its weights is called, or its folder where all such files are called alike."""
        path = Path(self.settings["transfer"]["teacher"]["weights"]["path"])
        return path.stem if path.stem != Path(TEACHER_FILE).stem else path.parent.name

    def load_teacher(self, arguments: argparse.Namespace) -> Teacher | None:
        """Load its teacher; None: it is not here, or other weights are."""
        transfer = self.settings["transfer"]
        named = Path(transfer["teacher"]["weights"]["path"])
        shared = arguments.data / "models" / Path(*named.parts[-2:])
        found = [shared, *sorted(arguments.kept.glob(f"*/{named.parent.name}/{named.name}"))]
        given = transfer["inputs"]
        mean, std = (given[name] and tuple(given[name]) for name in ("mean", "std"))
        spec = InputSpec(shape=tuple(given["shape"]), mean=mean, std=std)
        for path in [path for path in found if path.is_file()]:
            network = Network(
                architecture=transfer["teacher"]["architecture"], weights=path, num_classes=self.num_outputs
            )
            teacher = Teacher.load(network, spec)
            if fingerprint(teacher.module) == self.settings["teacher_sha256"]:
                return teacher
        return None

    @property
    def is_finished(self) -> bool:
        """Whether it left a student; otherwise checkpoints that were copied count."""
        return (self.folder / STUDENT_FILE).is_file()

    @property
    def num_outputs(self) -> int | None:
        """Of both networks, where there are not ten."""
        return TRAINED[self.task].num_outputs if self.task in TRAINED else None

    @property
    def made_of_teacher(self) -> str | None:
        """How its student is made of the teacher, such as thin:0.5; None: it is a network of its own."""
        architecture = self.settings["transfer"]["student"]["architecture"]
        return architecture if ":" in architecture else None

    def load_student(self, teacher: Teacher) -> nn.Module:
        """Load its student, in eval mode, giving logits."""
        if self.made_of_teacher:
            return load_student(self.folder).eval()
        architecture = self.settings["transfer"]["student"]["architecture"]
        weights = self.folder / STUDENT_FILE
        network = Network(architecture=architecture, weights=weights, num_classes=self.num_outputs)
        return Teacher.load(network, teacher.spec).module

    def load_checkpoints(self) -> Iterator[tuple[str, nn.Module]]:
        """Yield its student by budget, in eval mode, of checkpoints at an even part of its rounds, early ones first.

        A run writes over its checkpoints: those that shall count have to be copied, as checkpoint_50.pt.
        """
        transfer, found = self.settings["transfer"], dict[int, dict[str, Tensor]]()
        for path in self.folder.glob("checkpoint_[0-9]*.pt"):
            state = torch.load(path, weights_only=True, mmap=True)["state"]
            found[state["round"]] = state["student"]
        for number, weights in sorted(found.items()):
            if transfer["rounds"] % number == 0 and number < transfer["rounds"]:
                student = make_network(
                    transfer["student"]["architecture"],
                    in_channels=transfer["inputs"]["shape"][0],
                    num_classes=self.num_outputs or NUM_CLASSES,
                )
                student.load_state_dict(weights)
                yield f"1/{transfer['rounds'] // number}", student.eval()

    def make_before(self, teacher: Teacher) -> nn.Module | None:
        """Make its student as it was before any step; None: not made of its teacher, or by the first run of them."""
        if self.made_of_teacher is None or self.folder.name != FIRST:
            return None
        return build_student(PrunedStudent(architecture=self.made_of_teacher), teacher)[0].eval()


def kept_runs(folder: Path, tasks: list[str]) -> Iterator[KeptRun]:
    """Yield the runs below a folder that are of these tasks, each student once."""
    seen = set[str]()
    for path in sorted(folder.glob("*/*/seed_*")):
        kind = path.parent.name
        beginnings = [each for each in TASK_OF if kind.startswith((f"{each}_best", f"{each}_thin"))]
        if not beginnings or TASK_OF[beginnings[0]] not in tasks or not (path / "run.json").is_file():
            continue
        run = KeptRun(folder=path, task=TASK_OF[beginnings[0]])
        digest = hashlib.sha256((path / STUDENT_FILE).read_bytes()).hexdigest() if run.is_finished else str(path)
        if digest not in seen:
            seen.add(digest)
            yield run


class Grounds:
    """What the students of each teacher are compared on, made once for each teacher."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.by_teacher: dict[str, Ground] = {}
        self.own = dict[str, Teacher]()

    def own_teacher(self, task: str) -> Teacher:
        """Load the teacher with which `trust.py` compares the students of a task."""
        if task not in self.own:
            weights = trained_weights(task, self.arguments.folder, self.arguments.data)
            transfer = RECIPES["best"].transfer(task, weights, 0)
            self.own[task] = Teacher.load(transfer.teacher, transfer.inputs)
        return self.own[task]

    def of(self, task: str, teacher: Teacher, name: str | None = None) -> Ground:
        """Return that of a teacher; make it first where there is none.

        Args:
            task: of the teacher.
            teacher: any.
            name: of one that is not the task's own.
        """
        key = fingerprint(teacher.module)
        if task in TRAINED and key == fingerprint(self.own_teacher(task).module):
            name = TRAINED[task].teacher
        if key not in self.by_teacher:
            read = (TRAINED[task] if task in TRAINED else TASKS["cifar10_wrn"]).read
            self.by_teacher[key] = make_ground(task, name or key, teacher, read(self.arguments.data), self.arguments)
        return self.by_teacher[key]


def collect_kept(run: KeptRun, pairs: Pairs, grounds: Grounds) -> None:
    """Compute the pairs of a kept run."""
    if pairs.holds(run.task, run.name, "1/1"):
        return
    teacher = run.load_teacher(grounds.arguments)
    if teacher is None:
        print(f"{run.name}: its teacher is not here", flush=True)
        return
    ground = grounds.of(run.task, teacher, run.teacher_name)
    if (before := run.make_before(teacher)) is not None:
        note(pairs, ground, before, recipe=run.recipe, run=run.name, budget="before")
    if not run.is_finished:
        for budget, student in run.load_checkpoints():
            note(pairs, ground, student, recipe=run.recipe, run=run.name, budget=budget)
        return
    student = run.load_student(teacher)
    note(pairs, ground, student, recipe=run.recipe, run=run.name, budget="1/1")
    if run.task == PUBLIC:
        collect_beside(run, student, ground, pairs, grounds.arguments.data)


def collect_beside(run: KeptRun, student: nn.Module, ground: Ground, pairs: Pairs, data: Path) -> None:
    """Compute the pairs of a good student of CIFAR-10 broken on purpose, and of public students with its teacher."""
    if pairs.rows[-1]["agreement"] < GOOD:
        return
    for kind, damaged in broken(partial(copy.deepcopy, student)):
        note(pairs, ground, damaged, recipe=kind, run=f"{run.name}_{kind}", budget="broken")
    if ground.teacher_name == WITH_PUBLIC_STUDENTS:
        for name, architecture in PUBLIC_STUDENTS.items():
            loaded = Teacher.load(public_network(architecture, name, data), ground.teacher.spec).module
            note(pairs, ground, loaded, recipe=name, run=f"{ground.teacher_name}_{name}", budget="1/1")


def collect_eight_bits(task: str, student: KeptRun | None, pairs: Pairs, grounds: Grounds) -> None:
    """Compute the pairs of a task's teacher in 8 bits, and of a kept student of it in 8 bits.

    Args:
        task: any, that of public networks with a kept student.
        student: of a kept run.
        pairs: to add to.
        grounds: of all teachers.
    """
    teacher = (student and student.load_teacher(grounds.arguments)) or grounds.own_teacher(task)
    networks = {student.teacher_name if student else "teacher": teacher.module}
    if student:
        networks[student.name] = student.load_student(teacher)
    for name, network in networks.items():
        if pairs.holds(task, f"int8_clipped_{name}", IN_8_BITS):
            continue
        ground = grounds.of(task, teacher, student and student.teacher_name)
        for recipe, made in in_8_bits(network, teacher):
            note(pairs, ground, made, recipe=recipe, run=f"{recipe}_{name}", budget=IN_8_BITS)


def main() -> None:
    arguments = parse_arguments()
    pairs, grounds = Pairs(arguments.pairs), Grounds(arguments)
    known, runs = len(pairs.rows), list(kept_runs(arguments.kept, arguments.tasks))
    for run in runs if "kept" in arguments.parts else ():
        collect_kept(run, pairs, grounds)
    for task in arguments.tasks if "eight_bits" in arguments.parts else ():
        # One student of each teacher: of its last folder by name.
        students = {
            run.teacher_name: run for run in runs if run.task == task and run.folder.name == FIRST and run.is_finished
        }
        for student in students.values() or ([None] if task in TRAINED else []):
            collect_eight_bits(task, student, pairs, grounds)
    print(json.dumps({"pairs": len(pairs.rows), "new": len(pairs.rows) - known}))


if __name__ == "__main__":
    main()
