"""One call from two networks to a student: what it understands, says, continues and extends."""

import copy
import functools
import io
import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import beliefmatch as bm
from beliefmatch.errors import NetworkError, SettingsError, WeightsError, WrongTypeError
from beliefmatch.networks.loading.network import make_network
from beliefmatch.networks.normalisation import MNIST
from beliefmatch.networks.pruning.thinning import thin
from beliefmatch.students import pruned
from beliefmatch.studies import compression_plan
from beliefmatch.studies.compression_plan import describe_duration
from beliefmatch.training import budget
from beliefmatch.training.budget import Timing
from beliefmatch.training.prepare import prepare
from tiny import make_conv_teacher, make_plain_conv, named

SHAPE = (1, 8, 8)
OPTIONS = bm.RunOptions(folder=Path("unused"), accelerator="cpu", precision="32-true")
TIMING = Timing(rounds=1, seconds_per_round=20.0, start_seconds=0.0, device="cpu", threads=1)


@pytest.fixture(autouse=True)
def timed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[float]:
    """Every round takes twenty seconds, and nobody waits for one; return the times that rounds were timed for."""
    asked: list[float] = []

    def time_rounds(_transfer: object, _options: object, seconds: float, *, is_within: bool) -> Timing:
        assert is_within
        asked.append(seconds)
        return TIMING

    monkeypatch.setattr(budget, "time_rounds", time_rounds)
    monkeypatch.chdir(tmp_path)
    return asked


def compressed(**settings: Any) -> bm.Compression:
    usual: dict[str, Any] = {
        "teacher": make_conv_teacher(),
        "student": make_plain_conv,
        "shape": SHAPE,
        "mean": 0.3,
        "std": [0.4],
        "recipe": "noise",
        "batch_size": 4,
        "folder": "run",
        "options": OPTIONS,
        "progress": False,
    }
    if "minutes" not in settings:
        usual["rounds"] = 3
    return bm.compress(**usual | settings)


def run_json(folder: str = "run") -> dict[str, Any]:
    return json.loads((Path(folder) / "run.json").read_text())["settings"]["transfer"]


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_the_student_is_a_plain_module(tmp_path: Path) -> None:
    student = compressed().student
    assert isinstance(student, nn.Sequential)
    assert not student.training
    assert not any(vars(module)["_forward_hooks"] or vars(module)["_forward_pre_hooks"] for module in student.modules())
    inputs = torch.randn(3, *SHAPE)
    expected = student(inputs)
    assert torch.equal(copy.deepcopy(student)(inputs), expected)
    assert torch.equal(torch.jit.script(student)(inputs), expected)
    assert b"beliefmatch" not in pickle.dumps(student)
    torch.save((student, inputs, expected), tmp_path / "student.pt")
    code = (
        "import sys, torch; student, inputs, expected = torch.load('student.pt', weights_only=False); "
        "assert torch.equal(student(inputs), expected); assert 'beliefmatch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_the_result_is_measured_reported_and_exported(tmp_path: Path) -> None:
    result = compressed()
    images = torch.randint(0, 256, (30, 8, 8), dtype=torch.uint8)
    measured = result.measure(images, torch.arange(30) % 10, name="noise")
    assert result.result.agreement == measured.agreement.value
    assert "noise" in result.report().read_text()
    assert result.report(tmp_path / "page.html") == tmp_path / "page.html"
    exported = result.export(tmp_path / "student.pt2")
    assert exported.export.pseudo.agreement == 1
    assert exported.export.teacher is not None
    assert result.transfer.student.start is None
    assert "It began with the weights that it was given with" in exported.card.read_text()
    program = torch.export.load(io.BytesIO(exported.file.read_bytes())).module()
    inputs = torch.randn(2, *SHAPE)
    torch.testing.assert_close(program(inputs), result.student(inputs), rtol=1e-4, atol=1e-4)
    with pytest.raises(bm.BeliefMatchError, match="could not be checked in a fresh process: export to onnx or pt2"):
        result.export("student.safetensors")
    with pytest.raises(SettingsError, match=r"int8 is for \.onnx files; got student\.pt2"):
        result.export("student.pt2", int8=True)
    with pytest.raises(SettingsError, match="file has no ending"):
        result.export("student")


def test_the_mean_transition_error_is_measured_where_it_is_asked_for() -> None:
    result = compressed()
    inputs, labels = torch.randn(40, *SHAPE), torch.arange(40) % 10
    assert result.measure((inputs, labels)).transition is None
    plan = bm.measurement.TransitionPlan(num_images=2, num_steps=2)
    assert result.measure((inputs, labels), transition=plan).transition is not None
    assert "Mean transition error" in " ".join(result.report().read_text().split())


def test_repr_is_short_and_html_is_a_table() -> None:
    result = compressed()
    assert repr(result) == "Compression('given in Python: make_plain_conv', 210 of 426 parameters, folder='run')"
    page = result._repr_html_()
    assert page.count("<tr>") == 3
    assert "<td>426</td>" in page
    assert "3 rounds of noise" in page


def test_the_plan_says_what_was_understood(capsys: pytest.CaptureFixture[str]) -> None:
    compressed(progress=True, start="teacher", rounds=6)
    written = capsys.readouterr().err
    for words in (
        "given in Python: Sequential: 426 parameters, 4,928 MACs, 1.8 kB",
        "given in Python: make_plain_conv: 210 parameters",
        "1/2.0 of the parameters and 1/2.0 of the MACs; begins with the teacher's weights",
        "1 x 8 x 8 (as you gave it)",
        "mean 0.3, std 0.4 (as you gave it)",
        "6 of the usual 8,000 rounds, each of ten student steps, in batches of 4, with seed 0",
        "about 2 minutes on cpu",
        "GiB",
    ):
        assert words in written
    assert written.index("memory") < written.index("round 6/6")


def test_few_rounds_are_not_timed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(compression_plan, "time_run", lambda *_, **__: pytest.fail("rounds are timed"))
    assert "seconds on cpu" not in planned(capsys, rounds=5)
    with pytest.raises(pytest.fail.Exception, match="rounds are timed"):
        planned(capsys, rounds=6, folder="more")


def test_a_pruned_student_is_planned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the run is planned, for the rounds that are timed, and for the run itself."""
    planned: list[float] = []

    def count(*arguments: Any, fraction: float, **rest: Any) -> Any:
        planned.append(fraction)
        return thin(*arguments, fraction=fraction, **rest)

    def time_rounds(transfer: bm.Transfer, options: bm.RunOptions, *_: object, **__: object) -> Timing:
        prepare(transfer, options)
        return TIMING

    monkeypatch.setattr(pruned, "thin", count)
    monkeypatch.setattr(budget, "time_rounds", time_rounds)
    result = compressed(student="thin:0.5")
    assert planned == [0.5]
    assert result.student.get_submodule("0").out_channels == 4
    assert "plan" not in run_json()["student"]


def test_minutes_are_wall_time_and_are_kept(timed: list[float]) -> None:
    compressed(minutes=1)
    assert timed == [60]
    # A fraction of a second goes for loading both networks.
    assert (run_json()["rounds"], run_json()["minutes"]) == (3, 1)


def test_the_same_call_continues(timed: list[float]) -> None:
    def stop(completed: int, _row: object) -> None:
        if completed == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compressed(minutes=1, on_round=stop, options=replace(OPTIONS, checkpoint_every=1))
    rounds: list[int] = []
    compressed(minutes=1, on_round=lambda completed, _row: rounds.append(completed))
    assert rounds == [3]
    assert timed == [60]
    assert compressed(minutes=1, on_round=lambda completed, _row: rounds.append(completed)).result.rounds == 3
    assert rounds == [3]


@pytest.mark.parametrize(
    ("first", "then", "name"),
    [
        ({"minutes": 1}, {"minutes": 3}, "run_to_3_minutes"),
        ({"rounds": 3}, {"rounds": 5}, "run_to_5_rounds"),
    ],
)
def test_a_finished_run_is_extended_from_its_student(
    first: dict[str, Any], then: dict[str, Any], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = compressed(**first)
    weights = (before.folder / "student.safetensors").read_bytes()
    longer = compressed(**then, progress=True)
    assert f"a new schedule of 2 {next(iter(then))} begins from its student in {name}" in capsys.readouterr().err
    assert longer.folder == Path(name)
    assert (before.folder / "student.safetensors").read_bytes() == weights
    settings = run_json(name)
    assert settings["student"]["weights"]["path"] == str((before.folder / "student.safetensors").absolute())
    assert settings["seed"] == 1
    assert longer.result.rounds == (6 if "minutes" in then else 2)
    assert compressed(**then).folder == longer.folder


def test_what_cannot_be_extended_is_named() -> None:
    compressed(minutes=1)
    with pytest.raises(
        SettingsError, match=r"minutes is 0\.5, but the run in run was begun for 1 minutes: ask for more"
    ):
        compressed(minutes=0.5)

    def stop(_completed: int, _row: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compressed(minutes=1, folder="cut", on_round=stop)
    with pytest.raises(SettingsError, match="has not finished: let it finish with minutes=1 first"):
        compressed(minutes=2, folder="cut")


def test_each_call_without_a_folder_has_a_new_one() -> None:
    folders = [compressed(folder=None, rounds=1, seed=seed).folder for seed in (0, 0)]
    assert folders == [Path("runs/compressed_1"), Path("runs/compressed_2")]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_file_that_holds_a_whole_network_is_named_with_two_ways_on() -> None:
    teacher = make_conv_teacher()
    torch.save(teacher, "whole.pt")
    torch.jit.save(torch.jit.script(nn.Linear(8, 5)), "script.pt")
    torch.save(teacher.state_dict(), "weights.pt")
    torch.save({"model": teacher.state_dict()}, "dict.pt")
    for name, what in (
        (
            "whole.pt",
            r"whole.pt holds a pickled module, torch\.nn\.modules\.container\.Sequential, .* either .*; or save its w",
        ),
        ("script.pt", "script.pt is a TorchScript program, .* Either convert it, .*; or save its weights"),
        ("weights.pt", "weights.pt holds weights alone"),
        ("dict.pt", "dict.pt holds weights alone"),
    ):
        with pytest.raises(SettingsError, match=what):
            compressed(teacher=Path(name))


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.9, "1 second"), (2, "2 seconds"), (120, "2 minutes"), (7260, "2 hours 1 minute")]
)
def test_a_duration_is_told_in_english(seconds: float, words: str) -> None:
    assert describe_duration(seconds) == words


def test_names_and_paths_serve_too() -> None:
    result = compressed(teacher=named("make_conv_teacher"), student=named("make_plain_conv"))
    assert isinstance(result.student, nn.Sequential)
    assert result.measure(torch.randn(20, *SHAPE)).student is None
    torch.save(make_conv_teacher().state_dict(), "weights.pt")
    with pytest.raises(SettingsError, match="holds weights alone: give the network that they fit as the teacher"):
        compressed(teacher=Path("weights.pt"))
    other = make_conv_teacher()
    nn.init.zeros_(list(other.parameters())[-2])
    filled = compressed(teacher=other, weights="weights.pt", folder="filled")
    assert (
        json.loads(Path("filled/run.json").read_text())["settings"]["teacher_sha256"]
        == json.loads(Path("run/run.json").read_text())["settings"]["teacher_sha256"]
    )
    assert filled.transfer.teacher.architecture == "given in Python: Sequential"


@pytest.mark.parametrize("is_given", [True, False])
def test_a_file_of_several_state_dicts_serves_with_a_key(is_given: bool) -> None:
    trained, other = make_conv_teacher().state_dict(), make_plain_conv().state_dict()
    torch.save({"model": other, "ema": trained}, "weights.pt")
    teacher = make_conv_teacher() if is_given else named("make_conv_teacher")
    result = compressed(teacher=teacher, weights="weights.pt", state_key="ema")
    loaded = result.transfer.teacher.load_inspected(result.transfer.inputs, role="teacher")[0].state_dict()
    torch.testing.assert_close(loaded, trained)
    with pytest.raises(WeightsError, match="several state dicts: model, ema; choose one with state_key, such as ema"):
        compressed(teacher=teacher, weights="weights.pt", folder="other")


def fails_within(_setup: bm.Setup) -> bm.Transfer:
    """A recipe of the user's with a mistake in it."""

    def make(*, learning_rate: float) -> bm.Transfer:
        raise AssertionError(learning_rate)

    return make()  # pyright: ignore[reportCallIssue]


def test_a_recipe_may_be_a_function() -> None:
    recipe = functools.partial(bm.recipes.noise, objective=bm.BeliefMatching())
    assert compressed(recipe=recipe).transfer.recipe == "noise"
    with pytest.raises(SettingsError, match="recipe few_shot needs more than compress gives it"):
        compressed(recipe="few_shot", folder="other")
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'learning_rate'") as caught:
        compressed(recipe=fails_within, folder="other")
    assert not isinstance(caught.value, SettingsError)
    with pytest.raises(SettingsError, match="no recipe is called 'bets'; did you mean best"):
        compressed(recipe="bets", folder="other")


def test_the_shape_comes_from_the_models_own_configuration_or_is_asked_for() -> None:
    with pytest.raises(SettingsError, match="shape is missing: given in Python: Sequential does not say"):
        compressed(shape=None)
    teacher = make_conv_teacher()
    teacher.pretrained_cfg = {"input_size": SHAPE, "mean": (0.1,), "std": (0.9,)}  # pyright: ignore
    result = compressed(teacher=teacher, shape=None, mean=None, std=None)
    assert result.transfer.inputs == bm.InputSpec(shape=SHAPE, mean=(0.1,), std=(0.9,))
    assert result.transfer.inputs.normalisation_from == "checkpoint"


def test_a_dataset_stands_for_shape_and_normalisation() -> None:
    result = compressed(dataset="mnist", shape=None, mean=None, std=None)
    assert (result.transfer.inputs, result.transfer.inputs.normalisation_from) == (MNIST, "user")


def test_a_function_that_loads_no_weights_is_refused_or_allowed() -> None:
    with pytest.raises(NetworkError, match=r"loads no weights.* or add allow_untrained=True"):
        compressed(teacher=make_plain_conv)
    assert compressed(teacher=make_plain_conv, allow_untrained=True).student


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"teacher": 3}, "teacher is a int; expected a torch.nn.Module"),
        ({"student": None}, "student is a NoneType; expected a torch.nn.Module"),
        ({"mean": "grey"}, "mean is 'grey'; expected a number for each channel"),
        ({"recipe": 3}, "recipe is a int; expected a name"),
    ],
)
def test_a_wrong_type_is_a_type_error_of_ours(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message) as raised:
        compressed(**settings)
    assert isinstance(raised.value, WrongTypeError)
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ({"outputs": "regresion"}, "no outputs 'regresion'; did you mean regression?"),
        ({"dataset": "svhm"}, "no dataset is called 'svhm'; did you mean svhn?"),
        ({"start": "techer"}, "no start 'techer'; did you mean teacher?"),
        ({"start": "zzz"}, "no start 'zzz'; there are fresh, teacher"),
    ],
)
def test_a_word_that_is_misspelt_is_refused(typed: dict[str, str], answer: str) -> None:
    with pytest.raises(SettingsError) as caught:
        compressed(rounds=1, **typed)
    assert str(caught.value) == answer


def planned(capsys: pytest.CaptureFixture[str], **settings: Any) -> str:
    compressed(progress=True, **settings)
    return capsys.readouterr().err


def make_other_family() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 10))


def test_the_plan_of_a_student_of_another_family_says_that_it_starts_with_its_own_weights(
    capsys: pytest.CaptureFixture[str],
) -> None:
    written = planned(capsys, student=make_other_family, start="teacher", rounds=1)
    assert "begins with the weights that it was given with, since it is of another family than its teacher" in written
    assert "begins with the teacher's weights" not in written


def test_the_plan_warns_of_a_student_larger_than_its_teacher(capsys: pytest.CaptureFixture[str]) -> None:
    warning = "warning       the student is larger than its teacher, so nothing is compressed"
    assert warning in planned(capsys, student=make_other_family, rounds=1)
    assert "larger than" not in planned(capsys, rounds=1, folder="smaller")


def test_the_plan_warns_of_few_rounds(capsys: pytest.CaptureFixture[str]) -> None:
    words = "of the usual rounds say little"
    written = planned(capsys, rounds=1)
    assert f"warning       0.013 % {words}" in written
    assert "1 of the usual 8,000 rounds, each of ten student steps" in written

    def usually_four(setup: bm.recipes.Setup) -> bm.Transfer:
        return replace(bm.recipes.noise(setup), usual_rounds=4)

    for rounds, said in ((1, "1 of the usual 4 rounds, each"), (4, "rounds        4, each")):
        written = planned(capsys, recipe=usually_four, rounds=rounds, folder=f"run_{rounds}")
        assert words not in written
        assert said in written


def test_it_trains_what_the_recipe_trains(tmp_path: Path) -> None:
    """A module of the caller becomes, bit for bit, the student that the recipe makes of the same network by name."""
    teacher, student = (make_network(name, in_channels=1, num_classes=10) for name in ("lenet_5", "lenet_5_half"))
    torch.save(teacher.state_dict(), "teacher.pt")
    inputs: dict[str, Any] = {"shape": (1, 28, 28), "mean": (0.286,), "std": (0.353,), "rounds": 1, "batch_size": 16}
    result = bm.compress(teacher, student, **inputs, folder="own", options=OPTIONS, progress=False)
    setup = bm.Setup(
        teacher=bm.Network(architecture="lenet_5", weights=Path("teacher.pt")),
        student=bm.NamedStudent(architecture="lenet_5_half"),
        **inputs,
    )
    bm.run(bm.recipes.best(setup), replace(OPTIONS, folder=tmp_path / "named"), progress=False)
    files = [folder / "student.safetensors" for folder in (result.folder, tmp_path / "named")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert not torch.equal(student.state_dict()["conv1.weight"], result.student.state_dict()["conv1.weight"])
