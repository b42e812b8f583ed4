"""Recipes side by side: the same networks and wall time, several seeds, one table and one page."""

import logging
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean

from beliefmatch import recipes
from beliefmatch.checks import check_length
from beliefmatch.data.images import read_examples
from beliefmatch.errors import SettingsError
from beliefmatch.networks.examples import AbstractExamples
from beliefmatch.recipes.setup import Setup
from beliefmatch.report.page import write_report
from beliefmatch.report.quantities import capital
from beliefmatch.runs.atomic import write_json
from beliefmatch.runs.schema.measurement import MeasurementRecord
from beliefmatch.runs.schema.result import Result
from beliefmatch.setting_names import Setting
from beliefmatch.studies.common_inputs import agree_on_common_inputs, what_agreement_tells
from beliefmatch.studies.kept_timings import KeptTimings
from beliefmatch.studies.recipe_checks import check_inputs, check_recipes, check_starts
from beliefmatch.studies.sweep import Cell, Measure, Row, measure_on, result_values, sweep
from beliefmatch.training.budget import Timing
from beliefmatch.training.options import RunOptions
from beliefmatch.training.run import Follow
from beliefmatch.training.transfer import Transfer

logger = logging.getLogger(__name__)

TABLE = "table.json"


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What the runs of one recipe found, one value a seed; None where a run came to no end or nothing was measured."""

    recipe: str
    rounds: int
    """Of each run, as timed once on the machine that began."""
    is_over_time: bool
    """Whether each run was bound to take longer: not even one round fits."""
    seeds: tuple[int, ...]
    results: tuple[Result | None, ...]
    common_agreements: tuple[float | None, ...]
    """Agreement with the teacher on inputs that are the same for all runs; see `common_inputs`. None where data was
    given, too."""
    collapses: tuple[str, ...]
    """Kinds, over all runs."""

    def values(self, quantity: str) -> list[float]:
        """Return a number of the results of the runs that have it."""
        return result_values(self.results, quantity)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All that came out, and where the page is."""

    compared: list[Compared]
    """In the order of the names; without data by agreement on common inputs, the best first."""
    report: Path
    is_measured: bool


def compare(
    names: Sequence[str],
    setup: Setup,
    *,
    minutes: float,
    seeds: Sequence[int],
    options: RunOptions,
    images: Path | None,
    resize: bool,
    follow: Follow,
) -> Comparison:
    """Run each recipe with each seed for the same wall time, measure, and write one page.

    Without data, recipes are put into the order of agreement on procedural inputs; see `common_inputs`.

    Each run has a folder of its own, `RECIPE/seed_N`. Called again, it continues what is not finished, and recipes and
    seeds may be added. The number of rounds is timed once a recipe and kept in comparison.json.

    Args:
        names: of recipes.
        setup: what all are given alike; its seed and rounds do not count.
        minutes: wall time of one run, with the loading of its networks.
        seeds: of each recipe.
        options: of each run; its folder holds the folders of all.
        images: file to measure on afterwards, see `read_examples`; None: nothing is measured.
        resize: whether images of another size than the networks take are resized; otherwise they are refused.
        follow: see `Follow`.

    Raises:
        BeliefMatchError: a recipe, a network, a setting or the folder cannot be used.
    """
    check_length(minutes=minutes)
    transfers = _check(names, setup, seeds)
    measure = None if images is None else _measure(read_examples(images), transfers, options, resize=resize)
    timings = KeptTimings(minutes=minutes, settings=_what_changes_times(setup, options), folder=options.folder)
    timed = timings.time_recipes(transfers, options)
    warnings = [timings.warning(name, timed[name]) for name in names if timings.is_exceeded(timed[name])]
    for warning in warnings:
        logger.warning("%s", warning)
    cells = [_cell(name, setup, timed[name], options, measure) for name in names]
    rows = sweep(cells, seeds, follow=follow, skip_collapsed=True)
    common = agree_on_common_inputs(rows) if measure is None else [(None,) * len(seeds)] * len(rows)
    compared = [_gather(*each, timed[each[0].cell.name], timings) for each in zip(rows, common, strict=True)]
    if measure is None:
        compared.sort(key=_mean_common_agreement, reverse=True)
    write_json(options.folder / TABLE, {"minutes": minutes, "recipes": [asdict(each) for each in compared]})
    runs = [outcome.folder.path for row in rows for outcome in row.outcomes]
    notes = [*warnings, *([] if measure else [capital(what_agreement_tells())])]
    page = write_report(runs, out=options.folder / "report.html", notes=[f"{note}." for note in notes])
    return Comparison(compared=compared, report=page, is_measured=measure is not None)


def _check(names: Sequence[str], setup: Setup, seeds: Sequence[int]) -> dict[str, Transfer]:
    """Check recipes and seeds, and build each recipe's transfer of the first seed."""
    if not seeds or len(set(seeds)) < len(seeds):
        raise SettingsError(
            f"name each seed once, and at least one: {Setting('seeds', (0, 1, 2))}; got {' '.join(map(str, seeds))}"
        )
    check_recipes(names)
    transfers = {name: recipes.ALL[name](replace(setup, seed=seeds[0], rounds=None)) for name in names}
    check_inputs(transfers)
    check_starts(transfers)
    return transfers


def _measure(
    examples: AbstractExamples, transfers: dict[str, Transfer], options: RunOptions, *, resize: bool
) -> Measure[MeasurementRecord]:
    for transfer in transfers.values():
        examples.check_shape(transfer.inputs, resize=resize)
    return measure_on(examples, resize=resize, accelerator=options.accelerator)


def _what_changes_times(setup: Setup, options: RunOptions) -> dict[str, str]:
    chosen = ("accelerator", "precision", "micro_batch", "execution")
    common = {name: str(value) for name, value in vars(setup).items() if name not in ("seed", "rounds")}
    return common | {name: str(getattr(options, name)) for name in chosen}


def _cell(
    name: str,
    setup: Setup,
    timed: Timing,
    options: RunOptions,
    measure: Measure[MeasurementRecord] | None,
) -> Cell[MeasurementRecord]:
    return Cell(
        name=name,
        transfer=lambda seed: recipes.ALL[name](replace(setup, seed=seed, rounds=timed.rounds)),
        folder=lambda seed: options.folder / name / f"seed_{seed}",
        options=replace(options, resume=True),
        measure=measure,
    )


def _gather(
    row: Row[MeasurementRecord], common: tuple[float | None, ...], timed: Timing, timings: KeptTimings
) -> Compared:
    return Compared(
        recipe=row.cell.name,
        rounds=timed.rounds,
        is_over_time=timings.is_exceeded(timed),
        seeds=row.seeds,
        results=tuple(outcome.result for outcome in row.outcomes),
        common_agreements=common,
        collapses=tuple(collapse.kind for outcome in row.outcomes for collapse in outcome.folder.read_collapses()),
    )


def _mean_common_agreement(compared: Compared) -> float:
    """Return the mean agreement on common inputs; below all others where no run came to an end."""
    known = [value for value in compared.common_agreements if value is not None]
    return fmean(known) if known else -math.inf
