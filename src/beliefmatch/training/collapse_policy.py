"""What a run does when it collapses: log it and go on, stop, or begin again.

To begin again is to do all rounds from the first on in the same folder, with fresh weights and noise from a seed that
follows from the run's own: `seed + 1000` for the first restart, and so on. Learning rates follow schedules over all
rounds, so going back to the middle would repeat what led there, and there would be no telling which rounds are whose.
What the attempt that collapsed logged stays beside: `metrics_attempt1.jsonl` and `pseudo_attempt1`. How many attempts
there were is in collapses.json alone, so a run that is killed and resumed is in the attempt that it was in.
"""

import logging
from collections.abc import Sequence

from lightning_fabric import Fabric

from beliefmatch.checks import NUM_SEEDS
from beliefmatch.errors import CollapseError, DivergedError
from beliefmatch.log_once import log_once
from beliefmatch.runs.atomic import make_folder
from beliefmatch.runs.collapse_detection import (
    CollapseDetector,
    Finding,
    advice_on,
    is_long_enough,
    see_constant_teacher,
)
from beliefmatch.runs.folder import RunFolder
from beliefmatch.runs.schema.result import Collapse
from beliefmatch.runs.schema.row import Row
from beliefmatch.setting_names import Setting, where_known
from beliefmatch.training.clock import Clock
from beliefmatch.training.loop import TransferState
from beliefmatch.training.options import OnCollapse
from beliefmatch.training.prepare import Prepared
from beliefmatch.training.state import modules_in
from beliefmatch.training.transfer import Transfer

logger = logging.getLogger(__name__)

MAX_RESTARTS = 3
"""A recipe that collapses with four seeds is not unlucky."""
SEED_STEP = 1000
"""Between the seeds of attempts. People take seeds next to each other for runs of their own."""


class BeginAgain(Exception):  # noqa: N818
    """Leads out of the rounds of an attempt that collapsed; no error, and no user ever sees it."""


class CollapsePolicy:
    """Looks for a collapse in the rows of one attempt, and acts. The first process decides, and all act alike."""

    def __init__(
        self,
        prepared: Prepared,
        action: OnCollapse,
        *,
        state: TransferState,
        folder: RunFolder,
        clock: Clock,
        attempt: int,
    ) -> None:
        """Build the policy of an attempt; that of a run that continues knows the rows and collapses so far.

        Args:
            prepared: what is computed, with the seed of the attempt, and the processes.
            action: what to do after a collapse.
            state: of the attempt; the folder holds the rows of the rounds that it completed.
            folder: of the run.
            clock: training time.
            attempt: 0 for the first.
        """
        self.transfer = prepared.transfer
        self.action: OnCollapse = action
        self.state = state
        self.folder = folder
        self.fabric = prepared.fabric
        self.clock = clock
        self.attempt = attempt
        self.detector = CollapseDetector(rounds=self.transfer.rounds, batch_size=self.transfer.batch_size)
        for row in folder.read_metrics():
            if row["round"] <= state.round:
                self.detector.detect(row)
        # What lies after the checkpoint happens again.
        self.collapses = [
            each for each in folder.read_collapses() if each.attempt < attempt or each.round <= state.round
        ]
        self.fabric.barrier()
        if self.fabric.is_global_zero and self.collapses != folder.read_collapses():
            self._write()

    def check_row(self, row: Row) -> None:
        """Check a logged row, and act where a collapse stands that was not yet acted on.

        Raises:
            CollapseError: it was asked to stop, or has begun again too often.
            BeginAgain: it was asked to begin again.
        """
        if row["round"] == 1 and (seen := see_constant_teacher(row, self.transfer.batch_size)):
            logger.warning("%s", seen)
        findings = self.fabric.broadcast(self.detector.detect(row))
        known = {each.kind for each in self.collapses if each.attempt == self.attempt and each.action == "continue"}
        for finding in findings:
            if self._action != "continue" or finding.kind not in known:
                self._act(finding, row["round"], row["seconds"])

    def check_finite(self) -> None:
        """Check that losses and gradients are finite, and act where one is not.

        The run cannot go on from there, whatever was asked for.

        Raises:
            DivergedError: unless it was asked to begin again, or has done so too often.
            BeginAgain: it was asked to begin again.
        """
        bad_round = int(self.state.first_bad_round)
        if bad_round >= 0:
            whose = whose_outputs(self.state, self.transfer)
            seen = f"a loss or gradient stopped being finite in round {bad_round}{whose}"
            finding = Finding(kind="diverged", since=bad_round, seen=seen)
            self._act(finding, bad_round, round(self.clock.seconds, 3))

    def check_parameters(self) -> None:
        """Check that losses, gradients and parameters are finite before a checkpoint, and act where one is not.

        Raises:
            DivergedError: see `check_finite`.
            BeginAgain: likewise.
        """
        self.check_finite()
        parameters = [parameter for module in modules_in(self.state) for parameter in module.parameters()]
        if not all(bool(parameter.isfinite().all()) for parameter in parameters):
            self.state.first_bad_round.fill_(self.state.round)
            self.check_finite()

    def log_short_run(self, rows: Sequence[Row]) -> None:
        """Log it where a whole run has too few rows to show a collapse: silence is not to be taken for health."""
        if not self.collapses and not is_long_enough(rows, self.transfer.rounds):
            log_once(
                logger,
                logging.INFO,
                "too few rounds were logged to tell whether the student collapsed: nothing but losses that are not "
                "finite would have been seen",
            )

    @property
    def _action(self) -> OnCollapse:
        return "stop" if self.action == "restart" and self.attempt >= MAX_RESTARTS else self.action

    def _act(self, finding: Finding, round_number: int, seconds: float) -> None:
        action = "stop" if finding.kind == "diverged" and self._action == "continue" else self._action
        collapse = Collapse(
            kind=finding.kind,
            round=round_number,
            since=finding.since,
            seen=finding.seen,
            action=action,
            attempt=self.attempt,
            seed=self.transfer.seed,
            seconds=seconds,
        )
        self.collapses.append(collapse)
        if self.fabric.is_global_zero:
            self._write()
        text = describe(collapse)
        if action == "stop":
            raise (DivergedError if finding.kind == "diverged" else CollapseError)(text, self._advice(finding))
        if action == "restart":
            if self.fabric.is_global_zero:
                logger.warning("%s. Beginning again (restart %d of %d)", text, self.attempt + 1, MAX_RESTARTS)
            raise BeginAgain
        if self.fabric.is_global_zero:
            # Whoever wants to hear of errors alone must hear of this one.
            other = where_known("; {} or restart does otherwise", Setting("on_collapse", "stop"))
            logger.error("%s. Going on%s", text, other)

    def _advice(self, finding: Finding) -> str:
        more = f" It began again {self.attempt} times." if self.attempt else ""
        if finding.kind == "diverged" and self.folder.checkpoint.is_file():
            more += " The checkpoint is from before it."
        restart = Setting("resume", value=True), Setting("on_collapse", "restart")
        again = "" if self.action == "restart" else where_known(", or {} {} to begin again by another seed", *restart)
        report = f"beliefmatch report {self.folder.path} shows what happened."
        return f"{report}{more} Try {advice_on(finding.kind)} in another {Setting('folder')}{again}"

    def _write(self) -> None:
        self.folder.write_collapses(self.collapses)


def whose_outputs(state: TransferState, transfer: Transfer) -> str:
    """Return whose outputs were not finite in the first bad round, and for how much of a batch; empty: all were."""
    fractions = zip(("teacher", "student"), state.bad_outputs.tolist(), strict=True)
    bad = " and ".join(f"of the {role} for {100 * fraction:.1f} %" for role, fraction in fractions if fraction)
    return bad and f": outputs were not finite, {bad} of a batch of {type(transfer.source).__name__}"


def describe(collapse: Collapse) -> str:
    """Describe in one sentence what collapsed, when, and what was seen."""
    if collapse.kind == "diverged":
        return f"collapse (diverged): {collapse.seen}"
    return f"collapse ({collapse.kind}) in round {collapse.round}: since round {collapse.since} {collapse.seen}"


def seed_of(seed: int, attempt: int) -> int:
    """Derive the seed of an attempt."""
    return (seed + SEED_STEP * attempt) % NUM_SEEDS


def advance_attempt(folder: RunFolder, fabric: Fabric) -> int:
    """Return which attempt comes now, and put away what the one before it left. All processes must call.

    A process that is killed in between does the rest when it resumes: the rows are put away last, and show that all is.
    """
    fabric.barrier()
    attempt = sum(each.action == "restart" for each in folder.read_collapses())
    rows = folder.metrics.with_name(f"metrics_attempt{attempt}.jsonl")
    if fabric.is_global_zero and attempt and not rows.is_file():
        for checkpoint in (folder.checkpoint, folder.previous_checkpoint):
            checkpoint.unlink(missing_ok=True)
        pictures = folder.pseudo.with_name(f"pseudo_attempt{attempt}")
        if folder.pseudo.is_dir() and not pictures.is_dir():
            folder.pseudo.rename(pictures)
        make_folder(folder.pseudo)
        if folder.metrics.is_file():
            folder.metrics.rename(rows)
    fabric.barrier()
    return attempt


def seconds_before(folder: RunFolder) -> float:
    """Return the training time of the attempts that collapsed, in seconds."""
    return max((each.seconds for each in folder.read_collapses() if each.action == "restart"), default=0.0)
