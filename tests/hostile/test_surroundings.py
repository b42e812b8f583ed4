"""What surrounds the command fails: its audience, its terminal, its folder, the processes beside it."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from beliefmatch.cli import main
from tiny import named

ENTRY = "import sys; from beliefmatch.cli import main; sys.exit(main())"


def words(folder: str = "run", *more: str) -> list[str]:
    return [
        *(sys.executable, "-c", ENTRY, "transfer", "noise"),
        *("--teacher", named("make_mlp_teacher"), "--student", named("make_mlp_student"), "--shape", "12"),
        *("--batch-size", "8", "--rounds", "40", "--accelerator", "cpu", "--folder", folder, *more),
    ]


@pytest.mark.parametrize("display", ["full", pytest.param("json", marks=pytest.mark.long)])
def test_a_run_outlives_whoever_reads_its_output(display: str) -> None:
    """As `| head -1` does."""
    readers, writers = zip(os.pipe(), os.pipe(), strict=True)
    process = subprocess.Popen(words("run", "--display", display), stdout=writers[0], stderr=writers[1])
    for end in (*readers, *writers):
        os.close(end)
    assert process.wait(timeout=120) == 0
    assert Path("run/result.json").is_file()


@pytest.mark.long
def test_a_run_outlives_its_terminal() -> None:
    controller, terminal = os.openpty()
    process = subprocess.Popen(words(), stdout=terminal, stderr=terminal, stdin=terminal, start_new_session=True)
    os.close(terminal)
    os.read(controller, 1)
    os.close(controller)
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=120) == 0
    assert Path("run/result.json").is_file()


@pytest.mark.long
def test_a_full_disk_under_the_output_is_told_by_the_exit_code() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(words(), stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "beliefmatch: error: the standard output cannot be written: No space left on device; what was asked for is done"
    )
    assert Path("run/result.json").is_file()


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["recipes", "--help"], ["transfer", "noise", "--help"]]
)
def test_a_help_that_cannot_be_written_is_told_by_the_exit_code(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # What is left in its buffer is lost once more when it is closed.
    with suppress(OSError), Path("/dev/full").open("w") as full, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", full)
        assert main(arguments) == 2
    assert "the standard output cannot be written: No space left on device" in capsys.readouterr().err


@pytest.mark.long
def test_streams_may_be_closed_from_the_beginning() -> None:
    quoted = " ".join(f"'{word}'" for word in words())
    assert subprocess.run(["/bin/sh", "-c", f"exec {quoted} >&- 2>&-"], check=False).returncode == 0
    assert Path("run/result.json").is_file()


@pytest.mark.long
def test_output_that_lacks_letters_shows_their_numbers() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(words("rün"), env=environment, capture_output=True, text=True, check=True)
    assert "the student is in r\\xfcn" in done.stdout


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (b"x\xff", "holds bytes that are no UTF-8 text"),
        pytest.param("x\ny", "holds characters that cannot be shown", marks=pytest.mark.long),
        pytest.param("a/" * 2400, "a word of the command line has 4,800 characters", marks=pytest.mark.long),
        pytest.param("a" * 300, "File name too long", marks=pytest.mark.long),
        pytest.param("loop/x", "Too many levels of symbolic links", marks=pytest.mark.long),
        pytest.param("file/x", "file is not writable", marks=pytest.mark.long),
    ],
    ids=["bytes", "newline", "long", "long name", "loop", "below a file"],
)
def test_folders_that_cannot_be_are_told_in_one_line(place: str | bytes, message: str, tmp_path: Path) -> None:
    Path("loop").symlink_to("loop")
    Path("file").touch()
    before = sorted(tmp_path.iterdir())
    command: list[str | bytes] = [*words("FOLDER")]
    command[command.index("FOLDER")] = place
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_a_working_directory_that_is_gone_and_a_rank_that_is_none() -> None:
    Path("gone").mkdir()
    gone = f"cd gone; rmdir ../gone; exec '{sys.executable}' -c '{ENTRY}' report run"
    done = subprocess.run(["/bin/sh", "-c", gone], stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, "the working directory is gone" in done.stderr) == (2, True)
    environment = {**os.environ, "LOCAL_RANK": "abc"}
    done = subprocess.run(words(), env=environment, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, "LOCAL_RANK is 'abc', expected a number" in done.stderr) == (2, True)


def children_of(process: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: object, *, seconds: float = 60) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come in time"
        time.sleep(0.05)


@pytest.mark.long
@pytest.mark.parametrize("fate", ["interrupted", "killed", "child stopped", "child killed"])
def test_processes_end_together(fate: str) -> None:
    command = words("run", "--devices", "2", "--rounds", "1000000", "--timeout", "20", "--log-every", "10")
    # Other processes are started by the path of the first one's program.
    Path("entry.py").write_text(ENTRY)
    command[1:3] = ["entry.py"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    metrics = Path("run/metrics.jsonl")
    wait_until(lambda: (metrics.exists() and metrics.stat().st_size > 0) or process.poll() is not None)
    (child,) = children_of(process.pid)
    match fate:
        case "interrupted":
            process.send_signal(signal.SIGINT)
        case "killed":
            process.kill()
        case "child stopped":
            os.kill(child, signal.SIGSTOP)
        case _:
            os.kill(child, signal.SIGKILL)
    _, error = process.communicate(timeout=90)
    wait_until(lambda: not is_alive(child), seconds=20)
    assert "Traceback" not in error
    if fate == "interrupted":
        assert process.returncode == 130
    elif fate == "child stopped":
        assert process.returncode == 2
        assert "did not answer for 20 seconds (--timeout)" in error
    else:
        assert process.returncode != 0
