"""Which numbers, from teacher and student alone, tell how often they agree on real data.

    python benchmarks/trust.py [--tasks digits mnist ...] [--recipes best noise ...] [--seeds 0 1] [--judge-only]

Trains short runs, good and bad ones, on several tasks, and keeps the student after an eighth, a quarter, a half and all
of each; breaks some on purpose; and takes public students of CIFAR-10. Of each pair it computes every candidate of
`beliefmatch.measurement.agreement_estimates` and the true agreement and accuracy on real examples. Pairs are written to
--pairs as they come, and those there are not computed again. Then each candidate, alone and with others, is judged on
tasks that it was not fitted on: see `trust_judging.py`; for pairs of one kind, `trust_parts.py`. Students that longer
runs left, and networks in 8 bits, come from `trust_kept.py`. Writes `benchmarks/results/trust.json` and
`docs/images/estimate.png`. The last line is one JSON object: {"pairs", "rank_correlation_within",
"rank_correlation_across", "coverage_90", "mean_absolute_error"}.
"""

import argparse
import copy
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from beliefmatch.functional.classification import agreement, correct
from beliefmatch.functional.micro_batches import parts_of
from beliefmatch.measurement.agreement_estimates import candidates
from beliefmatch.measurement.probe import CHUNK, Probe, ask, make_probe
from beliefmatch.networks.examples import AbstractExamples
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.network import Network
from beliefmatch.networks.normalisation import CIFAR10
from beliefmatch.networks.teacher import Teacher
from beliefmatch.training.loop import run_round, start
from beliefmatch.training.precision import make_fabric
from beliefmatch.training.prepare import prepare_on
from machine import RESULTS, describe_machine, write_results
from tasks import TASKS
from trust_judging import NUM_TASKS, judge, plot
from trust_parts import judge_parts
from trust_tasks import (
    HELD_OUT,
    PUBLIC,
    PUBLIC_STUDENTS,
    PUBLIC_TEACHERS,
    RECIPES,
    TRAINED,
    Recipe,
    broken,
    trained_weights,
)

BUDGETS = (8, 4, 2, 1)
"""A student is kept after this part of its rounds: one divided by it."""
PICTURE = Path(__file__).parents[1] / "docs/images/estimate.png"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [*TRAINED, PUBLIC]
    parser.add_argument("--tasks", choices=names, nargs="+", default=names)
    parser.add_argument("--recipes", choices=[*RECIPES, *HELD_OUT], nargs="+", default=list(RECIPES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--inputs", type=int, default=512, help="made of each family to probe a teacher with")
    parser.add_argument("--examples", type=int, default=3000, help="real ones, at most, for the truth")
    parser.add_argument("--judge-only", action="store_true", help="compute no pair")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--folder", type=Path, default=Path("runs/trust"))
    parser.add_argument("--pairs", type=Path, default=RESULTS / "trust_pairs.jsonl")
    parser.add_argument("--results", default="trust", help="name of the file of results")
    parser.add_argument("--picture", type=Path, default=PICTURE)
    return parser.parse_args()


class Pairs:
    """The file of pairs, one JSON object a line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = []
        if path.is_file():
            self.rows = [json.loads(line) for line in path.read_text().splitlines() if line]

    def holds(self, task: str, run: str, budget: str) -> bool:
        """Whether a pair is on file."""
        return any((row["task"], row["run"], row["budget"]) == (task, run, budget) for row in self.rows)

    def add(self, row: dict[str, Any]) -> None:
        """Append a pair to the file."""
        self.rows.append(row)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")


@dataclass(frozen=True)
class Ground:
    """A teacher with its probe and its answers on real examples, made once for all its students."""

    name: str
    """Of the task."""
    teacher_name: str
    teacher: Teacher
    probe: Probe
    probe_seconds: float
    real: Tensor
    labels: Tensor
    real_logits: Tensor

    def compare(self, student: nn.Module) -> dict[str, Any]:
        """Compute all that is known of a student: every candidate, and the truth."""
        began = time.perf_counter()
        wrapped = Teacher(copy.deepcopy(student), self.teacher.spec)
        found = candidates(self.probe, ask(wrapped, self.probe.inputs, self.probe.moved, self.probe.cropped))
        seconds = time.perf_counter() - began
        logits = run_on(wrapped.module, self.real)
        return {
            "agreement": float(agreement(self.real_logits, logits).double().mean()),
            "accuracy": float(correct(logits, self.labels).double().mean()),
            "teacher_accuracy": float(correct(self.real_logits, self.labels).double().mean()),
            "seconds": round(seconds, 3),
            "candidates": {name: None if value is None else round(value, 5) for name, value in found.items()},
        }


def run_on(network: nn.Module, inputs: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([network(part) for part in parts_of(inputs, CHUNK)]).float()


def make_ground(
    name: str, teacher_name: str, teacher: Teacher, examples: AbstractExamples, arguments: argparse.Namespace
) -> Ground:
    began = time.perf_counter()
    # Where a pass takes long, steps that refine are few.
    probe = make_probe(
        teacher,
        count=arguments.inputs if name != PUBLIC else arguments.inputs // 2,
        fabric=make_fabric("cpu", "32-true"),
        refining_steps=30 if name != PUBLIC else 8,
    )
    seconds = time.perf_counter() - began
    rows = torch.randperm(len(examples), generator=torch.Generator().manual_seed(0))[: arguments.examples]
    real = examples.to_inputs(teacher.spec, slice(None), device=torch.device("cpu"))[rows]
    labels = examples.needed_labels()[rows].long()
    print(f"{name}: a probe of {len(probe.inputs)} inputs took {seconds:.1f} s", flush=True)
    return Ground(name, teacher_name, teacher, probe, seconds, real, labels, run_on(teacher.module, real))


def train_checkpoints(recipe: Recipe, task: str, weights: Path, seed: int) -> Iterator[tuple[str, nn.Module]]:
    """Train a student and yield it at each budget, in eval mode; what is made of its teacher, before any step too."""
    prepared = prepare_on(make_fabric("cpu", "32-true"), recipe.transfer(task, weights, seed))
    transfer = prepared.transfer
    state = start(transfer, prepared.teacher, prepared.student, prepared.fabric)
    kept = {max(1, transfer.rounds // budget): budget for budget in BUDGETS}
    if recipe.student:
        yield "before", copy.deepcopy(state.student).eval()
    for number in range(1, transfer.rounds + 1):
        run_round(transfer, state, prepared.teacher, prepared.fabric)
        if number in kept:
            yield f"1/{kept[number]}", copy.deepcopy(state.student).eval()


def collect_task(name: str, pairs: Pairs, arguments: argparse.Namespace) -> None:
    """Compute the pairs of a task whose students are trained here."""
    task, weights = TRAINED[name], trained_weights(name, arguments.folder, arguments.data)
    transfer = RECIPES["best"].transfer(name, weights, 0)
    teacher = Teacher.load(transfer.teacher, transfer.inputs)
    ground: Ground | None = None
    for recipe in arguments.recipes:
        for seed in arguments.seeds:
            run = f"{recipe}_{seed}"
            if pairs.holds(name, run, "1/1"):
                continue
            ground = ground or make_ground(name, task.teacher, teacher, task.read(arguments.data), arguments)
            try:
                compute_run(ground, recipe, seed, weights, pairs)
            except ValueError as error:
                print(f"{name} {run}: {error}", flush=True)


def compute_run(ground: Ground, recipe: str, seed: int, weights: Path, pairs: Pairs) -> None:
    """Compute the pairs of a run, and where it is the best one those of its last student broken."""
    began, last = time.perf_counter(), nn.Module()
    for budget, last in train_checkpoints((RECIPES | HELD_OUT)[recipe], ground.name, weights, seed):
        note(pairs, ground, last, recipe=recipe, run=f"{recipe}_{seed}", budget=budget)
    if recipe == "best":
        for kind, student in broken(partial(copy.deepcopy, last)):
            note(pairs, ground, student, recipe=kind, run=f"{kind}_{seed}", budget="broken")
    print(f"{ground.name} {recipe}_{seed}: {time.perf_counter() - began:.1f} s in all", flush=True)


def note(pairs: Pairs, ground: Ground, student: nn.Module, *, recipe: str, run: str, budget: str) -> None:
    """Compute a pair and append it, with what it is of, unless it is on file."""
    if pairs.holds(ground.name, run, budget):
        return
    row: dict[str, Any] = {
        "task": ground.name,
        "teacher": ground.teacher_name,
        "recipe": recipe,
        "run": run,
        "budget": budget,
    }
    row |= ground.compare(student) | {"probe_seconds": round(ground.probe_seconds, 2)}
    pairs.add(row)
    found = row["candidates"]
    shown = found["agreement_balanced"], found["agreement_entropy"]
    print(f"{ground.name} {run} {budget}: true {row['agreement']:.3f}, probe {shown}", flush=True)


def collect_public(pairs: Pairs, arguments: argparse.Namespace) -> None:
    """Compute the pairs of public students and teachers of CIFAR-10, and of one that is broken."""
    for architecture, name in PUBLIC_TEACHERS.items():
        if pairs.holds(PUBLIC, f"{name}_disturbed_1.0", "broken"):
            continue
        spec = InputSpec(shape=(3, 32, 32), mean=CIFAR10.mean, std=CIFAR10.std)
        teacher = Teacher.load(public_network(architecture, name, arguments.data), spec)
        ground = make_ground(PUBLIC, name, teacher, TASKS["cifar10_wrn"].read(arguments.data), arguments)
        loaded = nn.Module()
        for student, kind in PUBLIC_STUDENTS.items():
            loaded = Teacher.load(public_network(kind, student, arguments.data), spec).module
            note(pairs, ground, loaded, recipe=student, run=f"{name}_{student}", budget="1/1")
        for kind, damaged in broken(partial(copy.deepcopy, loaded)):
            note(pairs, ground, damaged, recipe=kind, run=f"{name}_{kind}", budget="broken")


def public_network(architecture: str, name: str, data: Path) -> Network:
    return Network(architecture=architecture, weights=data / "models/cifar10" / f"{name}.safetensors")


def collect(
    arguments: argparse.Namespace,
    task: Callable[[str, Pairs, argparse.Namespace], None],
    public: Callable[[Pairs, argparse.Namespace], None],
) -> list[dict[str, Any]]:
    """Collect the pairs of all tasks that are asked for, and return those of the file.

    Args:
        arguments: of the command.
        task: collects the pairs of a task by its name.
        public: collects those of public networks.

    Raises:
        SystemExit: they are of too few tasks to judge anything.
    """
    pairs = Pairs(arguments.pairs)
    for name in [] if arguments.judge_only else arguments.tasks:
        if name == PUBLIC:
            public(pairs, arguments)
        else:
            task(name, pairs, arguments)
    if len({row["task"] for row in pairs.rows}) < NUM_TASKS:
        raise SystemExit(f"nothing is judged: {arguments.pairs} holds pairs of fewer than {NUM_TASKS} tasks")
    return pairs.rows


def main() -> None:
    arguments = parse_arguments()
    rows = collect(arguments, collect_task, collect_public)
    found = judge(rows) | judge_parts(rows)
    write_results(arguments.results, {"machine": describe_machine(), **found})
    plot(found, arguments.picture)
    print(json.dumps(found["summary"]))


if __name__ == "__main__":
    main()
