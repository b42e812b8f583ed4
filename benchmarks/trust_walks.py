"""Whether walks from class to class, or a second seed, tell more of real agreement than agreement on a probe.

    python benchmarks/trust_walks.py [--tasks digits mnist ...] [--recipes best noise ...] [--seeds 0 1] [--judge-only]

As `trust.py`, on a smaller set of its own, whose pairs have more candidates: those of
`beliefmatch.measurement.walk_estimates`, and how often two students of a recipe agree that differ in their seed alone.
Students made of their teacher, pruned or in few bits, count too, before and after a few rounds, and public ones of
CIFAR-10. Every candidate, old
and new, is judged on the same pairs. Pairs go to --pairs, all seeds of a recipe at once; those there are not computed
again. Writes `benchmarks/results/trust_walks.json`. The last line is one JSON object: {candidate:
[rank correlation within runs, across tasks, recipes right, mean absolute error]}.
"""

import argparse
import copy
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from beliefmatch.measurement.agreement_estimates import weighted_agreement
from beliefmatch.measurement.walk_estimates import Walks, WalkStarts, compare_on_walks, draw_starts, make_walks
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.normalisation import CIFAR10
from beliefmatch.networks.teacher import Teacher
from machine import RESULTS, describe_machine, write_results
from tasks import TASKS
from trust import Ground, Pairs, collect, make_ground, public_network, run_on, train_checkpoints
from trust_judging import compared, estimate_left_out, judge_candidate, moving_runs, score, score_some
from trust_maps import PAIRED, groups
from trust_tasks import (
    OF_TEACHER,
    PUBLIC,
    PUBLIC_STUDENTS,
    PUBLIC_TEACHERS,
    RECIPES,
    TRAINED,
    broken,
    trained_weights,
)

KNOWN = (
    "agreement_balanced",
    "agreement_best",
    "agreement_sure_balanced",
    "divergence_balanced",
    "class_shift_balanced",
)
"""Candidates of `trust.py` beside which new ones are shown."""
WALKED = (
    "agreement_on_walks_led_by_teacher",
    "agreement_on_walks_led_by_student",
    "transition_error_led_by_teacher",
    "transition_error_led_by_student",
)
LED_BY_TEACHER = (WALKED[0], WALKED[2])
"""Known for every pair, so that a map may take them."""
OF_SEEDS = "agreement_of_seeds_balanced"
USUAL = ("best", "best_fresh", "noise")
MADE_OF_TEACHER = ("digits", "signals")
"""Tasks whose teachers are pruned and quantised."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tasks = ("digits", "features", "adult", "signals", "mnist", "fashion_bn", PUBLIC)
    parser.add_argument("--tasks", choices=[*TRAINED, PUBLIC], nargs="+", default=tasks)
    parser.add_argument("--recipes", choices=[*RECIPES, *OF_TEACHER], nargs="+", default=[*USUAL, *OF_TEACHER])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--walks", type=int, default=128)
    parser.add_argument("--inputs", type=int, default=256, help="made of each family to probe a teacher with")
    parser.add_argument("--examples", type=int, default=3000, help="real ones, at most, for the truth")
    parser.add_argument("--judge-only", action="store_true", help="compute no pair")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--folder", type=Path, default=Path("runs/trust"))
    parser.add_argument("--pairs", type=Path, default=RESULTS / "trust_walks_pairs.jsonl")
    parser.add_argument("--results", default="trust_walks", help="name of the file of results")
    return parser.parse_args()


@dataclass(frozen=True, kw_only=True)
class WalkedGround:
    """A teacher with its probe and the walks that it leads from there, made once for all its students."""

    ground: Ground
    starts: WalkStarts
    led_by_teacher: Walks

    @classmethod
    def of(cls, ground: Ground, count: int) -> "WalkedGround":
        """Make so many walks."""
        starts = draw_starts(ground.probe, count=count)
        return cls(ground=ground, starts=starts, led_by_teacher=make_walks(ground.teacher.module, starts))

    def compare(self, student: nn.Module, *, recipe: str, run: str, budget: str) -> dict[str, Any]:
        """Compute a pair: what it is of, every candidate but that of seeds, and the truth."""
        ground = self.ground
        row: dict[str, Any] = {"task": ground.name, "teacher": ground.teacher_name, "recipe": recipe, "run": run}
        row |= {"budget": budget} | ground.compare(student)
        network = Teacher(copy.deepcopy(student), ground.teacher.spec).module
        began = time.perf_counter()
        led = {"teacher": compare_on_walks(self.led_by_teacher, network)}
        # Gradients of students take long there.
        if ground.name != PUBLIC:
            led["student"] = compare_on_walks(make_walks(network, self.starts), ground.teacher.module)
        row["seconds_of_walks"] = round(time.perf_counter() - began, 3)
        row["candidates"] |= dict.fromkeys((*WALKED, OF_SEEDS))
        for guide, found in led.items():
            row["candidates"][f"agreement_on_walks_led_by_{guide}"] = round(found.agreement, 5)
            row["candidates"][f"transition_error_led_by_{guide}"] = round(found.error, 5)
        shown = row["candidates"]["agreement_balanced"], row["candidates"][WALKED[0]]
        print(f"{ground.name} {run} {budget}: true {row['agreement']:.3f}, {shown}", flush=True)
        return row


def collect_task(name: str, pairs: Pairs, arguments: argparse.Namespace) -> None:
    """Compute the pairs of a task."""
    weights = trained_weights(name, arguments.folder, arguments.data)
    transfer = RECIPES["best"].transfer(name, weights, 0)
    teacher = Teacher.load(transfer.teacher, transfer.inputs)
    task, walked = TRAINED[name], None
    for recipe in arguments.recipes:
        known = pairs.holds(name, f"{recipe}_{arguments.seeds[-1]}", "1/1")
        if known or (recipe in OF_TEACHER and name not in MADE_OF_TEACHER):
            continue
        if walked is None:
            ground = make_ground(name, task.teacher, teacher, task.read(arguments.data), arguments)
            walked = WalkedGround.of(ground, arguments.walks)
        began = time.perf_counter()
        for row in rows_of(recipe, walked, weights, arguments.seeds):
            pairs.add(row)
        print(f"{name} {recipe}: {time.perf_counter() - began:.1f} s in all", flush=True)


def collect_public(pairs: Pairs, arguments: argparse.Namespace) -> None:
    """Compute the pairs of public students of CIFAR-10 with one teacher."""
    architecture, name = next(iter(PUBLIC_TEACHERS.items()))
    if all(pairs.holds(PUBLIC, f"{name}_{student}", "1/1") for student in PUBLIC_STUDENTS):
        return
    spec = InputSpec(shape=(3, 32, 32), mean=CIFAR10.mean, std=CIFAR10.std)
    teacher = Teacher.load(public_network(architecture, name, arguments.data), spec)
    ground = make_ground(PUBLIC, name, teacher, TASKS["cifar10_wrn"].read(arguments.data), arguments)
    walked = WalkedGround.of(ground, arguments.walks)
    for student, kind in PUBLIC_STUDENTS.items():
        if not pairs.holds(PUBLIC, f"{name}_{student}", "1/1"):
            network = Teacher.load(public_network(kind, student, arguments.data), spec).module
            pairs.add(walked.compare(network, recipe=student, run=f"{name}_{student}", budget="1/1"))


def rows_of(recipe: str, walked: WalkedGround, weights: Path, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Compute the pairs of a recipe with every seed, and how often those agree that differ in it alone."""
    rows, answers, ground = list[dict[str, Any]](), list[Tensor](), walked.ground
    for seed in seeds:
        for kind, budget, student in students_of(recipe, ground.name, weights, seed):
            rows.append(walked.compare(student, recipe=kind, run=f"{kind}_{seed}", budget=budget))
            answers.append(run_on(Teacher(copy.deepcopy(student), ground.teacher.spec).module, ground.probe.inputs))
    for part in groups(rows, "recipe", "budget"):
        alike = [
            weighted_agreement(answers[first], answers[second], ground.probe.weights["balanced"])
            for first, second in combinations(part, 2)
        ]
        for index in part:
            rows[index]["candidates"][OF_SEEDS] = round(sum(alike) / len(alike), 5) if alike else None
    return rows


def students_of(recipe: str, task: str, weights: Path, seed: int) -> Iterator[tuple[str, str, nn.Module]]:
    """Train a student and yield it with its recipe and its budget; where the recipe is best, broken in the end too."""
    last = nn.Module()
    for budget, last in train_checkpoints((RECIPES | OF_TEACHER)[recipe], task, weights, seed):
        yield recipe, budget, last
    if recipe == "best":
        for kind, student in broken(partial(copy.deepcopy, last)):
            yield kind, "broken", student


def judge_candidates(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Judge known and new candidates alone, on the same pairs."""
    return {
        "pairs": len(rows),
        "runs_that_move": len(moving_runs(rows)),
        "recipes_compared": len(compared(rows)),
        "candidates": [{"candidate": name, **judge_candidate(rows, name)} for name in (*KNOWN, *WALKED, OF_SEEDS)],
    }


def judge_all(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Judge known and new candidates alone, and maps that may take the known, or the new as well, on the same pairs."""
    # Public students have no second seed, and lead no walks.
    same = [row for row in rows if row["task"] != PUBLIC]
    found: dict[str, Any] = {"pairs": len(rows), "without_public": judge_candidates(same)}
    for kind, names in {"known": PAIRED, "known_and_new": (*PAIRED, *LED_BY_TEACHER)}.items():
        estimates, intervals, chosen = estimate_left_out(rows, names)
        good = [row["agreement"] >= 0.6 for row in rows]
        found[f"map_of_{kind}"] = {
            "scores": score(rows, estimates, intervals),
            "scores_of_good": score_some(rows, estimates, intervals, good),
            "chosen_for_each_task": chosen,
        }
    made = [row for row in rows if row["recipe"] in OF_TEACHER]
    if made:
        found["made_of_teacher"] = judge_candidates(made)
    return found


def main() -> None:
    arguments = parse_arguments()
    found = judge_all(collect(arguments, collect_task, collect_public))
    write_results(arguments.results, {"machine": describe_machine(), **found})
    columns = ("within_runs", "across", "recipes_right", "error_isotonic")
    print(
        json.dumps(
            {each["candidate"]: [each[column] for column in columns] for each in found["without_public"]["candidates"]}
        )
    )


if __name__ == "__main__":
    main()
