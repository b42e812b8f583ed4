"""Doing the runs of a comparison that are not done yet, and gathering what they found."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from beliefmatch.data.images import read_examples
from beliefmatch.errors import CollapseError, FolderError, SettingsError
from beliefmatch.measurement.run import measure_run
from beliefmatch.networks.examples import AbstractExamples
from beliefmatch.report.page import write_report
from beliefmatch.runs.atomic import make_folder, write_json
from beliefmatch.runs.folder import Result, RunFiles, read_json
from beliefmatch.studies.candidates import Common, check_inputs, check_recipes, check_starts
from beliefmatch.training.options import RunOptions
from beliefmatch.training.run import Follow, run
from beliefmatch.training.run_folder import RunFolder
from beliefmatch.training.timing import Timing, time_rounds
from beliefmatch.training.transfer import Transfer
from beliefmatch.training.trust import code_named_in

logger = logging.getLogger(__name__)

CALIBRATIONS = "comparison.json"
TABLE = "table.json"
TOLERANCE = 1.25
"""Part of the budget that a single round may take before it is said."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What the runs of one recipe found, one value a seed; None where a run came to no end or nothing was measured."""

    recipe: str
    rounds: int
    """Of each run, as timed once on the machine that began."""
    is_over_budget: bool
    """Whether each run was bound to take longer: not even one round fits."""
    seeds: tuple[int, ...]
    results: tuple[Result | None, ...]
    pseudo_agreements: tuple[float | None, ...]
    """On the last logged pseudo batches: of the recipe's own making, so no measure between recipes."""
    confidence_gaps: tuple[float | None, ...]
    collapses: tuple[str, ...]
    """Kinds, over all runs."""

    def values(self, name: str) -> list[float]:
        """Give a number of the results of the runs that have it."""
        return [value for result in self.results if result and (value := getattr(result, name)) is not None]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All that came out, and where the page is."""

    compared: list[Compared]
    report: Path
    is_measured: bool


def compare(
    names: Sequence[str],
    common: Common,
    *,
    seconds: float,
    seeds: Sequence[int],
    options: RunOptions,
    images: Path | None,
    resize: bool,
    follow: Follow,
) -> Comparison:
    """Run each recipe with each seed for the same wall time, measure, and write one page.

    Each run has a folder of its own, `RECIPE/seed_N`. Done again, what is not finished goes on, and recipes and seeds
    may be added. The number of rounds is timed once a recipe and kept in comparison.json.

    Args:
        names: of recipes.
        common: what all are given alike.
        seconds: wall time of the rounds of one run.
        seeds: of each recipe.
        options: of each run; its folder holds the folders of all.
        images: file to measure on afterwards, see `read_examples`; None: nothing is measured.
        resize: whether images of another size than the networks take are resized; otherwise they are refused.
        follow: see `Follow`.

    Raises:
        BeliefMatchError: a recipe, a network, a setting or the folder cannot be used.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise SettingsError(f"name each seed once, and at least one: --seeds 0 1 2; got {' '.join(map(str, seeds))}")
    check_recipes(names)
    transfers = {name: common.transfer(name, seed=seeds[0]) for name in names}
    check_inputs(transfers)
    check_starts(transfers)
    data = None if images is None else read_examples(images)
    if data is not None:
        for transfer in transfers.values():
            data.check_shape(transfer.inputs, resize=resize)
    timed = _time_rounds(names, common, seconds=seconds, seed=seeds[0], options=options)
    notes = [_over_budget(name, timed[name], seconds) for name in names if _is_over_budget(timed[name], seconds)]
    for note in notes:
        logger.warning("%s", note)
    # Seed by seed, so that a machine that grows slower does so for all recipes.
    for seed in seeds:
        for name in names:
            place = RunFolder(options.folder / name / f"seed_{seed}")
            transfer = common.transfer(name, seed=seed, rounds=timed[name].rounds)
            _complete(transfer, replace(options, folder=place.path, resume=True), follow, f"{name} seed {seed}")
            if data is not None and place.result.is_file():
                _measure(place, transfer, data, options, resize=resize)
    compared = [_gather(name, timed[name], seconds, seeds, options.folder) for name in names]
    write_json(options.folder / TABLE, {"seconds": seconds, "recipes": [asdict(each) for each in compared]})
    runs = [options.folder / name / f"seed_{seed}" for name in names for seed in seeds]
    report = write_report(runs, out=options.folder / "report.html", notes=[f"{note}." for note in notes])
    return Comparison(compared=compared, report=report, is_measured=data is not None)


def _time_rounds(
    names: Sequence[str], common: Common, *, seconds: float, seed: int, options: RunOptions
) -> dict[str, Timing]:
    """Read how many rounds each recipe does, or time it, one after the other, before any run begins."""
    path, given = options.folder / CALIBRATIONS, _what_changes_times(common, options)
    known = _read_calibrations(path, seconds, given)
    for name in names:
        if name not in known:
            logger.info("timing rounds of %s", name)
            found = time_rounds(common.transfer(name, seed=seed), options, seconds)
            logger.info("%s: %d rounds, %.3g s each", name, found.rounds, found.seconds_per_round)
            known[name] = found
            make_folder(options.folder)
            recipes = {known_name: asdict(each) for known_name, each in known.items()}
            write_json(path, {"seconds": seconds, "given": given, "recipes": recipes})
    return known


def _is_over_budget(timed: Timing, seconds: float) -> bool:
    return timed.rounds == 1 and timed.planned_seconds > TOLERANCE * seconds


def _over_budget(name: str, timed: Timing, seconds: float) -> str:
    longer = f"{name} takes about {timed.planned_seconds:.3g} s instead of {seconds:.3g}"
    return f"{longer}: one round, and what comes before it, does not fit"


def _what_changes_times(common: Common, options: RunOptions) -> dict[str, str]:
    chosen = ("accelerator", "precision", "micro_batch", "execution")
    return {name: str(value) for name, value in vars(common).items()} | {
        name: str(getattr(options, name)) for name in chosen
    }


def _read_calibrations(path: Path, seconds: float, given: dict[str, str]) -> dict[str, Timing]:
    folder = path.parent
    if not path.is_file():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise FolderError(f"{folder} is not empty and holds no comparison: name another --folder")
        return {}
    content = read_json(path)
    if content.get("seconds") != seconds:
        raise SettingsError(
            f"the comparison in {folder} gives each run {content.get('seconds')} s, not {seconds} s: "
            "name another --folder for another budget"
        )
    earlier = content.get("given")
    if isinstance(earlier, dict) and (changed := [name for name in given if earlier.get(name) != given[name]]):
        raise SettingsError(
            f"the comparison in {folder} was timed with another {changed[0]}: name another --folder for this one"
        )
    try:
        found = {name: Timing(**each) for name, each in content["recipes"].items()}
        is_whole = all(isinstance(each.rounds, int) and each.planned_seconds > 0 for each in found.values())
    except (KeyError, TypeError, AttributeError):
        found, is_whole = {}, False
    if not is_whole:
        raise FolderError(f"{path} is damaged: it holds no rounds")
    return found


def _complete(transfer: Transfer, options: RunOptions, follow: Follow, name: str) -> None:
    try:
        with follow(name, transfer.rounds) as observer:
            run(transfer, options, observer=observer)
    except CollapseError as error:
        # The others are still worth comparing, and table and report name it.
        logger.error("%s came to no end: %s", name, error.seen)


def _measure(
    place: RunFolder, transfer: Transfer, data: AbstractExamples, options: RunOptions, *, resize: bool
) -> None:
    measured = place.read_measurement()
    if measured is None or measured.get("fingerprint") != data.fingerprint:
        # The folder may name the code that the caller named for this run, and no other.
        measure_run(place, data, resize=resize, accelerator=options.accelerator, trust_code=code_named_in(transfer))


def _gather(name: str, timed: Timing, seconds: float, seeds: Sequence[int], folder: Path) -> Compared:
    runs = [RunFiles(folder / name / f"seed_{seed}") for seed in seeds]
    rows = [(each.read_metrics() or [{}])[-1] for each in runs]
    return Compared(
        recipe=name,
        rounds=timed.rounds,
        is_over_budget=_is_over_budget(timed, seconds),
        seeds=tuple(seeds),
        results=tuple(each.read_result() if each.result.is_file() else None for each in runs),
        pseudo_agreements=tuple(row.get("batch_agreement") for row in rows),
        confidence_gaps=tuple(row.get("confidence_gap") for row in rows),
        collapses=tuple(collapse.kind for each in runs for collapse in each.read_collapses()),
    )
