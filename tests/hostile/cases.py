"""Seeded hostile cases: files damaged by chance, and flags of values that nobody should give.

A case is a command line, with files made for it; the command runs in this process. A traceback is any exception that
leaves it, a wrong exit any code but 0 or 2, an error that is not one line, or a case that took too long.
"""

import contextlib
import io
import json
import os
import random
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from odd_values import FLAGS, FREQUENCIES, JSON_VALUES, NUMBERS, WORDS

from beliefmatch.cli import main
from hostile_texts import NO_FILES, TEXTS
from stored_students import write_metadata

PART_THAT_ARE_NO_FILES = 0.08
"""Of damaged run folders, in which something else stands in the place of a file."""
SECONDS, WALL_SECONDS = 20.0, 120.0
"""Most that a case may take: of processor time, and by the clock of a machine that has other work, too."""


@dataclass
class Tally:
    """What came of all cases."""

    tried: int = 0
    tracebacks: list[str] = field(default_factory=list)
    wrong_exits: list[str] = field(default_factory=list)
    codes: dict[int, int] = field(default_factory=dict)
    """How many cases ended with each exit code; the parser of flags ends the others."""
    seconds: dict[str, float] = field(default_factory=dict)
    """By kind of case, what they took together."""
    each: dict[str, float] = field(default_factory=dict)
    """What each case took in seconds, by its name."""

    @property
    def slowest(self) -> list[tuple[float, str]]:
        """The three cases that took longest, in seconds."""
        return sorted(((round(seconds, 1), name) for name, seconds in self.each.items()), reverse=True)[:3]

    def __str__(self) -> str:
        return f"{self.tried} tried, {len(self.tracebacks)} tracebacks, {len(self.wrong_exits)} wrong exits"


Case = tuple[str, list[str]]
"""A name, and the words of a command."""
Kind = Callable[[random.Random, Path, "Originals"], Case]


@dataclass(frozen=True)
class Originals:
    """Whole files that cases are made from."""

    run: Path
    """A finished run of vectors of eight features."""
    files: dict[str, Path]
    """By kind: npz, safetensors, pt, onnx, pt2, and a folder hf."""


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Flip, cut, repeat, insert or swap bytes."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 8))):
        if not data:
            break
        at, length = chance.randrange(len(data)), chance.choice((1, 1, 4, 8, 64))
        match chance.randrange(6):
            case 0:
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                data[at : at + length] = chance.randbytes(len(data[at : at + length]))
            case 2:
                del data[at:]
            case 3:
                data[at:at] = data[at : at + length]
            case 4:
                data[at : at + length] = chance.choice((b"\xff", b"\x00", b"9", b"[", b'"', b"{")) * length
            case _:
                del data[at : at + length]
    return bytes(data)


def damage_json(text: str, chance: random.Random) -> str:
    """Replace, remove or add a value anywhere in JSON, or damage its text."""
    content = json.loads(text)
    spots = list(_spots(content))
    parent, key = chance.choice(spots)
    match chance.randrange(8):
        case 0:
            del parent[key]
        case 1 if isinstance(parent, dict):
            parent[chance.choice(("extra", *TEXTS.values()))] = chance.choice(JSON_VALUES)
        case 2:
            depth = chance.choice((40, 100_000))
            return json.dumps(content).replace(json.dumps(parent[key]), "[" * depth + "]" * depth, 1)
        case _:
            parent[key] = chance.choice(JSON_VALUES)
    return json.dumps(content)


def _spots(value: Any) -> Iterator[tuple[Any, Any]]:
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _spots(inner)


def case_of_run_folder(chance: random.Random, folder: Path, originals: Originals) -> Case:
    """Damage one file of a run folder, and read it by any command."""
    run = folder / "run"
    shutil.copytree(originals.run, run)
    name = chance.choice(sorted(path.name for path in run.iterdir() if path.is_file() and path.name != "run.lock"))
    path = run / name
    if chance.random() < PART_THAT_ARE_NO_FILES:
        kind = chance.choice(list(NO_FILES))
        name = f"{name} {kind}"
        path.unlink()
        NO_FILES[kind](path)
    elif path.suffix in (".json", ".jsonl") and chance.random() < 0.8:
        lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        at = chance.randrange(len(lines))
        lines[at] = damage_json(lines[at], chance)
        path.write_text("\n".join(lines) + "\n")
        if path.name == "student.json" and chance.random() < 0.5:
            with contextlib.suppress(ValueError, AttributeError, RecursionError):
                write_metadata(run, json.loads(path.read_text()))
    else:
        path.write_bytes(damaged(path.read_bytes(), chance))
    words = chance.choice(
        (
            ["report", str(run)]
            if path.suffix != ".pt"
            else [*transfer_words(originals), "--folder", str(run), "--resume"],
            ["measure", str(run), "--images", str(originals.files["npz"]), "--batch-size", "4"],
            ["measure", str(run), "--images", str(originals.files["npz"]), "--transition", "2"],
            # An export loads its file in a process of its own, which takes seconds: where it reads what is damaged.
            ["export", str(run), "--to", "safetensors", "--overwrite"]
            if path.suffix in (".json", ".safetensors", ".md")
            else ["report", str(run)],
            [*transfer_words(originals), "--folder", str(run), "--resume"],
        )
    )
    return f"{name} {words[0]}", words


def transfer_words(originals: Originals) -> list[str]:
    """Return the words of a tiny transfer."""
    return [
        *("transfer", "noise", "--teacher", "mlp_8", "--teacher.weights", str(originals.files["safetensors"])),
        *("--student", "mlp_4", "--shape", "8", "--batch-size", "4", "--rounds", "3", "--accelerator", "cpu"),
        *("--display", "quiet"),
    ]


def measure_words(originals: Originals, **changed: str) -> list[str]:
    """Return the words of a measurement of two networks."""
    weights = str(originals.files["safetensors"])
    flags = {"teacher": "mlp_8", "student": "mlp_8", "images": str(originals.files["npz"]), "shape": "8"}
    flags |= {"teacher.weights": weights, "student.weights": weights, "display": "quiet"} | changed
    return ["measure", *(word for flag, value in flags.items() if value for word in (f"--{flag}", value))]


def case_of_images(chance: random.Random, folder: Path, originals: Originals) -> Case:
    """Damage an .npz file."""
    path = folder / "inputs.npz"
    path.write_bytes(damaged(originals.files["npz"].read_bytes(), chance))
    return "npz", measure_words(originals, images=str(path))


def case_of_weights(chance: random.Random, folder: Path, originals: Originals) -> Case:
    """Damage a file of weights."""
    kind = chance.choice(("safetensors", "pt", "old.pt"))
    path = folder / f"weights.{kind}"
    path.write_bytes(damaged(originals.files[kind].read_bytes(), chance))
    return kind, measure_words(originals, **{"teacher.weights": str(path)})


def case_of_program(chance: random.Random, folder: Path, originals: Originals) -> Case:
    """Damage an ONNX file or an exported program."""
    kind = chance.choice(("onnx", "pt2"))
    path = folder / f"program.{kind}"
    path.write_bytes(damaged(originals.files[kind].read_bytes(), chance))
    return kind, measure_words(originals, **{"teacher": str(path), "teacher.weights": ""})


def case_of_flags(chance: random.Random, folder: Path, originals: Originals) -> Case:
    """Give a flag of any command a value that nobody should give."""
    command, numbers, words = chance.choices(FLAGS, FREQUENCIES)[0]
    number = bool(numbers) and chance.random() < 0.6
    flag, value = (
        (chance.choice(numbers), chance.choice(NUMBERS))
        if number
        else (
            chance.choice(words),
            chance.choice(WORDS),
        )
    )
    match command:
        case "measure":
            base = measure_words(originals)
        case "measure run":
            base = ["measure", str(originals.run), "--images", str(originals.files["npz"]), "--display", "quiet"]
        case "transfer":
            base = [*transfer_words(originals), "--folder", str(folder / "new")]
        case "export":
            base = ["export", str(originals.run), "--to", "safetensors", "--out", str(folder / "out")]
        case _:
            base = ["report", str(originals.run)]
    return f"{command} {flag} {value[:30]!r}", [*base, flag, value]


KINDS: dict[str, tuple[Kind, int]] = {
    "run folder": (case_of_run_folder, 8),
    "images": (case_of_images, 3),
    "weights": (case_of_weights, 3),
    "program": (case_of_program, 2),
    "flags": (case_of_flags, 8),
}
"""Each kind of case, and how often it comes."""


def run_cases(originals: Originals, folder: Path, *, seed: int, count: int) -> Tally:
    """Run so many cases, each from a seed of its own."""
    tally = Tally()
    for number in range(count):
        chance = random.Random(f"{seed} {number}")
        kind = chance.choices(list(KINDS), [often for _, often in KINDS.values()])[0]
        place = folder / str(number)
        place.mkdir()
        name, words = KINDS[kind][0](chance, place, originals)
        _run_case(tally, f"seed {seed} case {number}: {name}", words)
        shutil.rmtree(place)
    return tally


def _run_case(tally: Tally, name: str, words: list[str]) -> None:
    out, err = io.StringIO(), io.StringIO()
    tally.tried += 1
    began, used_before = time.perf_counter(), _processor_seconds()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = main(words)
    except SystemExit as end:
        _count_seconds(tally, name, time.perf_counter() - began)
        # The parser of flags ends like this, with a box of its own.
        code = end.code
        if code not in (0, 2):
            tally.wrong_exits.append(f"{name}: {code}")
        return
    except BaseException as error:
        tally.tracebacks.append(f"{name}: {type(error).__name__}: {str(error)[:300]} ({words})")
        return
    seconds, used = time.perf_counter() - began, _processor_seconds() - used_before
    _count_seconds(tally, name, seconds)
    is_slow = used > SECONDS or seconds > WALL_SECONDS
    tally.codes[code] = tally.codes.get(code, 0) + 1
    errors = [line for line in err.getvalue().splitlines() if line.startswith("beliefmatch: error: ")]
    if code not in (0, 2) or len(errors) != (code == 2) or is_slow:
        times = f"{used:.0f} of {seconds:.0f} s"
        tally.wrong_exits.append(f"{name}: {code}, {errors}, {times} ({words})")
    shown = out.getvalue() + err.getvalue()
    if strange := [letter for letter in shown if not letter.isprintable() and letter != "\n"]:
        tally.wrong_exits.append(f"{name}: shows {strange[:5]} ({words})")


def _processor_seconds() -> float:
    """Return what this process and those that it waited for have used."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _count_seconds(tally: Tally, name: str, seconds: float) -> None:
    kind = name.partition(": ")[2].split()[0]
    tally.seconds[kind] = tally.seconds.get(kind, 0.0) + seconds
    tally.each[name] = seconds
