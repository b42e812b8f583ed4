"""How many rounds of each recipe fit into the wall time that all are given, timed once and kept."""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from beliefmatch.errors import FolderError, SettingsError
from beliefmatch.runs.atomic import make_folder, write_json
from beliefmatch.runs.reading import read_json
from beliefmatch.setting_names import Setting
from beliefmatch.training.budget import END_SECONDS, Timing, time_rounds
from beliefmatch.training.options import RunOptions
from beliefmatch.training.transfer import Transfer

logger = logging.getLogger(__name__)

TIMINGS = "comparison.json"
"""Name of the file in the comparison's folder that keeps what was timed."""
TOLERANCE = 1.25
"""A single round may take this many times the minutes before a warning names it."""


@dataclass(frozen=True, kw_only=True)
class KeptTimings:
    """How many rounds of each recipe fit into the wall time of a run, in a file that keeps them."""

    minutes: float
    """Wall time of one run, with the loading of its networks."""
    settings: dict[str, str]
    """All that changes how long a round takes, by name."""
    folder: Path
    """Of the comparison."""

    @property
    def seconds(self) -> float:
        """The same wall time in seconds."""
        return 60 * self.minutes

    @property
    def seconds_of_rounds(self) -> float:
        """What is left of it for the start and the rounds: a run writes and measures at its end."""
        return max(self.seconds - END_SECONDS, self.seconds / 2)

    @property
    def path(self) -> Path:
        """File of what was timed."""
        return self.folder / TIMINGS

    def time_recipes(self, transfers: dict[str, Transfer], options: RunOptions) -> dict[str, Timing]:
        """Read how many rounds each recipe does, or time it, one after the other, before any run begins.

        Args:
            transfers: of each recipe, by its name, at any number of rounds.
            options: of each run.

        Raises:
            FolderError: the folder holds something else, or its file is damaged.
            SettingsError: the file is of another wall time or other settings.
        """
        known = self.read()
        for name, transfer in transfers.items():
            if name not in known:
                logger.info("timing rounds of %s", name)
                found = time_rounds(transfer, options, self.seconds_of_rounds)
                logger.info("%s: %d rounds, %.3g s each", name, found.rounds, found.seconds_per_round)
                known[name] = found
                self._write(known)
        return known

    def _write(self, known: dict[str, Timing]) -> None:
        make_folder(self.folder)
        recipes = {name: asdict(each) for name, each in known.items()}
        write_json(self.path, {"minutes": self.minutes, "given": self.settings, "recipes": recipes})

    def read(self) -> dict[str, Timing]:
        """Read what was timed, by recipe; nothing where the folder is new.

        Raises:
            FolderError: the folder holds something else, or its file is damaged.
            SettingsError: the file is of another wall time or other settings.
        """
        if not self.path.is_file():
            if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
                raise FolderError(
                    f"{self.folder} is not empty and holds no comparison: name another {Setting('folder')}"
                )
            return {}
        content = read_json(self.path)
        if content.get("minutes") != self.minutes:
            raise SettingsError(
                f"the comparison in {self.folder} gives each run {content.get('minutes')} minutes, not {self.minutes}: "
                f"name another {Setting('folder')} for another time"
            )
        earlier = content.get("given")
        if isinstance(earlier, dict) and (
            changed := [name for name in self.settings if earlier.get(name) != self.settings[name]]
        ):
            raise SettingsError(
                f"the comparison in {self.folder} was timed with another {changed[0]}: name another "
                f"{Setting('folder')} for this "
                "one"
            )
        return self._read_timings(content)

    def _read_timings(self, content: dict[str, Any]) -> dict[str, Timing]:
        try:
            found = {name: Timing(**each) for name, each in content["recipes"].items()}
            is_whole = all(isinstance(each.rounds, int) and each.planned_seconds > 0 for each in found.values())
        except (KeyError, TypeError, AttributeError):
            found, is_whole = {}, False
        if not is_whole:
            raise FolderError(f"{self.path} is damaged: it holds no rounds")
        return found

    def is_exceeded(self, timed: Timing) -> bool:
        """Whether a run takes longer than its minutes, because not even one round fits."""
        return timed.rounds == 1 and timed.planned_seconds > TOLERANCE * self.seconds

    def warning(self, name: str, timed: Timing) -> str:
        """Return in words how much longer than its minutes a recipe takes."""
        longer = f"{name} takes about {timed.planned_seconds:.3g} s instead of {self.seconds:.3g}"
        return f"{longer}: one round, and what comes before it, does not fit"
