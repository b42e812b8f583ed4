"""Networks from anywhere as teachers and students, by their names alone; and what is said where one cannot be used."""

import contextlib
import io
import json
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import numpy as np
import pytest
import timm
import torch
import torch.hub
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import get_model
from transformers import ResNetConfig, ResNetForImageClassification, ViTConfig, ViTForImageClassification

from beliefmatch import load_student
from beliefmatch.cli import main
from beliefmatch.errors import NetworkError
from beliefmatch.networks.loading.network import Network, make_network
from beliefmatch.networks.outputs import logits_of
from beliefmatch.training.student_files import load_student_with_logits
from tiny import named

HERE = Path(__file__)
SHAPE = (3, 24, 24)
CIFAR = ("--dataset", "cifar10")
"""For networks that do not say what they take."""
TIMM = "timm:test_vit?img_size=24&patch_size=8"
TORCHVISION = "torchvision:squeezenet1_1"


def transfer(folder: Path, *words: object) -> int:
    """Run two rounds of the paper's recipe."""
    small = ("--rounds", 2, "--batch-size", 2, "--source.noise-size", 4, "--source.student-steps", 1)
    return main([str(word) for word in ("transfer", "zero_shot", "--folder", folder, *small, *words)])


def weights_of(network: nn.Module, path: Path, prefix: str = "") -> Path:
    save_file({prefix + key: tensor.contiguous() for key, tensor in network.state_dict().items()}, path)
    return path


def hugging_face(folder: Path, num_classes: int = 10) -> Path:
    """Save a tiny vision transformer as transformers does."""
    sizes: dict[str, Any] = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    config = ViTConfig(**sizes, image_size=24, patch_size=8)
    config.num_labels = num_classes
    with contextlib.redirect_stderr(io.StringIO()):
        ViTForImageClassification(config).save_pretrained(folder / "vit")
    return folder / "vit"


def hugging_face_resnet(folder: Path) -> Path:
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    config.num_labels = 3
    with contextlib.redirect_stderr(io.StringIO()):
        ResNetForImageClassification(config).save_pretrained(folder / "resnet")
    return folder / "resnet"


def exported(folder: Path, suffix: str) -> Path:
    """Write a small network as a program for three examples."""
    network, path = make_network("convnet_4", in_channels=3, num_classes=10).eval(), folder / f"teacher.{suffix}"
    example = (torch.randn(3, *SHAPE),)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        if suffix == "pt2":
            torch.export.save(torch.export.export(network, example), path)
        else:
            torch.onnx.export(network, example, path, dynamo=True, verbose=False)
    return path


class WithLogits(nn.Module):
    """Returns an object, and has no batch-norm."""

    def __init__(self, form: Callable[[Tensor], Any]) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.convolution, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 10)
        self.form = form

    def forward(self, batch: Tensor) -> Any:
        return self.form(self.head(self.convolution(batch).relu().mean(dim=(2, 3))))


def make_dict() -> nn.Module:
    return WithLogits(lambda logits: {"features": logits[:, :, None], "out": logits})


def make_tuple() -> nn.Module:
    return WithLogits(lambda logits: (logits[:, :, None], logits, 3))


def own(function: str) -> str:
    return f"{__file__}:{function}"


def teacher_words(kind: str, folder: Path) -> list[object]:
    """Make a teacher of a kind and name it."""
    match kind:
        case "timm":
            network = timm.create_model("test_vit", img_size=24, patch_size=8, num_classes=10)
            path = weights_of(network, folder / "w.safetensors", "module.")
            return ["--teacher.architecture", TIMM, "--teacher.weights", path]
        case "torchvision":
            network = get_model("squeezenet1_1", num_classes=10)
            torch.save({"state_dict": network.state_dict()}, folder / "w.pth")
            return ["--teacher.architecture", TORCHVISION, "--teacher.weights", folder / "w.pth"]
        case "hf":
            return ["--teacher.architecture", f"hf:{hugging_face(folder)}"]
        case "pt2" | "onnx":
            return ["--teacher.architecture", exported(folder, kind)]
        case _:
            return ["--teacher.architecture", own(f"make_{kind}")]


@pytest.mark.parametrize(
    ("teacher", "student"),
    [
        ("timm", "convnet_4"),
        ("torchvision", TIMM),
        ("hf", "timm:test_resnet"),
        ("pt2", TORCHVISION),
        ("onnx", "convnet_4"),
        ("dict", own("make_tuple")),
        ("tuple", "hf"),
    ],
)
def test_a_run_with_networks_of_others_ends_with_a_student_that_loads(
    tmp_path: Path, teacher: str, student: str
) -> None:
    torch.manual_seed(0)
    student = f"hf:{hugging_face_resnet(tmp_path)}" if student == "hf" else student
    words = teacher_words(teacher, tmp_path)
    shape = () if teacher in ("hf", "pt2", "onnx") else ("--shape", *SHAPE)
    assert transfer(tmp_path / "run", *words, "--student.architecture", student, *shape) == 0
    batch = torch.randn(5, *SHAPE)
    logits = load_student_with_logits(tmp_path / "run", trust_code=True)(batch)
    assert logits.shape == (5, 10)
    own = load_student(tmp_path / "run", trust_code=True)(batch)
    assert torch.equal(logits_of(own, network="it", batch_size=5), logits)
    images = {"images": np.zeros((20, 24, 24, 3), np.uint8), "labels": np.arange(20) % 10}
    np.savez(tmp_path / "images.npz", **images)
    assert main(["measure", "--trust-code", str(tmp_path / "run"), "--images", str(tmp_path / "images.npz")]) == 0


def test_two_vision_transformers_share_no_feature_map_and_that_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = [*teacher_words("timm", tmp_path), "--student.architecture", TIMM, "--shape", *SHAPE]
    with caplog.at_level("INFO"):
        assert transfer(tmp_path / "run", *words) == 0
    assert caplog.text.count("compared activations: none found, none used") == 1
    assert caplog.text.count("compared activations:") == 1


def test_a_teacher_tells_its_inputs_to_a_run_and_to_a_measurement(tmp_path: Path) -> None:
    network = make_network("mlp_8", in_channels=12, num_classes=4).eval()
    path = tmp_path / "teacher.pt2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(network, (torch.randn(3, 12),)), path)
    words = ["--teacher.architecture", path, "--student.architecture", "mlp_4"]
    assert transfer(tmp_path / "run", *words) == 0
    assert load_student(tmp_path / "run", trust_code=True)(torch.randn(5, 12)).shape == (5, 4)


def test_two_named_networks_of_others_are_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "images.npz", images=np.zeros((20, 24, 24, 3), np.uint8))
    words = ["--teacher", f"hf:{hugging_face(tmp_path)}", f"--student={exported(tmp_path, 'pt2')}"]
    assert main([str(word) for word in ("measure", *words, "--images", tmp_path / "images.npz")]) == 0
    assert "measured on 20 examples" in capsys.readouterr().out


def test_a_prefix_that_is_found_is_said_and_one_that_is_named_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    network = make_network("convnet_4", in_channels=3, num_classes=10)
    path, state = tmp_path / "w.safetensors", network.state_dict()
    save_file({f"model.{key}": tensor for key, tensor in state.items()}, path)
    words = ["--teacher.architecture", "convnet_4", "--teacher.weights", path, "--student.architecture", "convnet_4"]
    words += CIFAR
    assert transfer(tmp_path / "run", *words) == 0
    assert "fit without their prefix model." in caplog.text
    save_file({f"{prefix}.{key}": tensor.clone() for key, tensor in state.items() for prefix in ("model", "ema")}, path)
    refused(tmp_path, capsys, words, "fit under several prefixes: ema., model.; choose one with --teacher.strip-prefix")
    refused(tmp_path, capsys, [*words, "--teacher.strip-prefix", "mdl"], "no key that begins with mdl.")
    assert transfer(tmp_path / "other", *words, "--teacher.strip-prefix", "ema") == 0


BAD: list[tuple[list[object], str]] = [
    (["--teacher.architecture", "timm:resnet81"], "timm knows no model 'resnet81'; the nearest are resnet18"),
    (["--teacher.architecture", "timm:resnet18"], "timm:resnet18 has no weights: .* or write timm:resnet18.pretrained"),
    (
        ["--teacher.architecture", "timm:test_vit?sise=3", "--teacher.weights", "x"],
        "timm:test_vit.sise=3: it cannot be made .*sise",
    ),
    (["--teacher.architecture", "torchvision:resnet81"], "torchvision has no classifier 'resnet81'; the nearest are"),
    (["--teacher", "torchvision:resnet18", *CIFAR], r"resnet18 has no weights: .* or write .*\?weights=DEFAULT"),
    (["--teacher.architecture", "torchvision:resnet18?weights=BEST"], "no weights 'BEST' for resnet18; there are"),
    (["--teacher.architecture", "hf:/nowhere/at/all"], "no folder at /nowhere/at/all: hf: takes a folder"),
    (["--teacher", "timm:resnet18.a1_in2k?pretrained"], "no weights 'resnet18.a1_in2k'; .* resnet18.a1_in1k"),
    (["--teacher", "timm:test_vit?pretrained", "--shape", 1, 160, 160], "take 3 channels, the inputs have 1"),
    (["--teacher", "timm:test_vit?pretrained&img_size=big"], "img_size=big: its weights cannot be had, or it"),
    (["--teacher", "timm:test_vit?pretrained&num_classes=7"], "weights of timm:test_vit.* know 1000 classes, not 7"),
    (["--teacher", "timm:test_vit?pretraned"], "has an argument 'pretraned'; the nearest is pretrained"),
    (["--teacher", "torchvision:resnet18?wieghts=DEFAULT"], "has an argument 'wieghts'; the nearest is weights"),
    (["--teacher", "tim:resnet18"], "no origin or module is called 'tim'; the nearest is timm:resnet18, others are"),
    (["--teacher", "huggingface:some/where"], "no origin .* 'huggingface'; the nearest is hf:some/where, others are"),
    (["--teacher", "torch:resnet18", *CIFAR], "no function 'resnet18'; .* else the nearest is torchvision:resnet18"),
    (["--teacher", "transformers:some/where", *CIFAR], "has no function 'some/where'; .* is hf:some/where"),
    (["--teacher=weights.pt"], "weights.pt looks like a file of weights, .* --teacher.weights weights.pt"),
    (["--teacher", "my_file.py"], "my_file.py names no function in it: write my_file.py:make_network"),
    (["--teacher", str(HERE.parent)], "is a folder: one that transformers wrote is named hf:/"),
    (["--teacher", own("make_tupel"), *CIFAR], "has no function 'make_tupel'; the nearest are make_tuple"),
    (["--teacher", f"{HERE.with_name('test_any_modell.py')}:make"], "; the nearest there are test_any_model.py"),
    (["--teacher", f"hf:{HERE.parent}s"], "no folder at .*behaviours: hf: .*; the nearest there are behaviour"),
    (["--teacher.architecture", "wide_resnet_401"], "no architecture is called .*nearest are .* Others: timm:NAME"),
    (["--teacher.architecture", "nowhere.pt2"], "nowhere.pt2 cannot be read: No such file"),
    (["--teacher.architecture", "nowhere.onnx"], "no file at .*nowhere.onnx"),
    (["--teacher", own("make_tuple"), *CIFAR, "--student.architecture", "x.pt2"], "x.pt2 is a program"),
    (["--teacher", own("make_tuple"), *CIFAR, "--student.architecture", "x.onnx"], "x.onnx is a program"),
    (["--teacher", named("make_conv_teacher"), "--shape", 1, 8, 8, "--student.architecture", TORCHVISION],
     "torchvision:squeezenet1_1 takes 3 channels, the inputs have 1"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "message"), BAD, ids=[message[:40] for _, message in BAD])
def test_what_cannot_be_used_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[object], message: str
) -> None:
    if "--student.architecture" not in words:
        words = [*words, "--student", "convnet_4"]
    refused(tmp_path, capsys, words, message)


def refused(folder: Path, capsys: pytest.CaptureFixture[str], words: Sequence[object], message: str) -> None:
    __tracebackhide__ = True
    capsys.readouterr()
    assert transfer(folder / "refused", *words) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    with pytest.raises(ValueError, match=f"^beliefmatch: error: .*{message}"):
        raise ValueError(lines[0])
    assert not (folder / "refused").exists()


def test_networks_that_do_not_fit_each_other_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = weights_of(get_model("squeezenet1_1", num_classes=1000), tmp_path / "w.safetensors")
    many = ["--teacher.architecture", TORCHVISION, "--teacher.weights", path, *CIFAR]
    student = ["--student.architecture", own("make_dict")]
    refused(tmp_path, capsys, [*many, *student], r"another number of classes\? --teacher.num-classes 1000")
    classes = "the teacher knows 1000 classes and the student 10; they must be equal"
    refused(tmp_path, capsys, [*many, "--teacher.num-classes", 1000, *student], classes)
    colour = weights_of(make_network("lenet_5", in_channels=3, num_classes=10), tmp_path / "colour.safetensors")
    grey = ["--teacher.architecture", "lenet_5", "--teacher.weights", colour, "--shape", 1, 28, 28]
    refused(tmp_path, capsys, [*grey, *student], r"other channels\? .* begin with 3: --shape 3")


@pytest.mark.parametrize("kind", ["hf", "pt2", "onnx", "dict"])
def test_a_number_of_classes_that_the_teacher_does_not_have_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    shape = ["--shape", *SHAPE] if kind == "dict" else []
    teacher = teacher_words(kind, tmp_path)
    words, wrong = [*teacher, "--student.architecture", "convnet_4", *shape], ["--teacher.num-classes", 7]
    refused(tmp_path, capsys, [*words, *wrong], "knows 10 classes, but num_classes says 7: leave it out, or name")
    np.savez(tmp_path / "images.npz", images=np.zeros((20, 24, 24, 3), np.uint8))
    student = ["--student.architecture", own("make_tuple")]
    measure = ["measure", *teacher, *student, *wrong, *shape, "--images", tmp_path / "images.npz"]
    assert main([str(word) for word in measure]) == 2
    assert "knows 10 classes, but num_classes says 7" in capsys.readouterr().err
    assert transfer(tmp_path / "run", *words, "--teacher.num-classes", 10) == 0


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("image_size=big", "cannot have that configuration"),
        ("pretraned", "has an argument 'pretraned'; the nearest is"),
    ],
)
def test_a_configuration_that_cannot_be_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], query: str, message: str
) -> None:
    refused(tmp_path, capsys, ["--teacher", f"hf:{hugging_face(tmp_path)}?{query}", "--student", "convnet_4"], message)


@pytest.mark.parametrize(
    ("content", "known"),
    [
        ({"image_mean": 0.5, "image_std": 0.25}, ((0.5,) * 3, (0.25,) * 3)),
        ({"image_mean": [0.5], "image_std": "no"}, (None, None)),
        ([], None),
    ],
)
def test_constants_of_a_preprocessor_may_be_one_number_or_nonsense(tmp_path: Path, content: Any, known: Any) -> None:
    folder = hugging_face(tmp_path)
    (folder / "preprocessor_config.json").write_text(json.dumps(content))
    network = Network(architecture=f"hf:{folder}")
    if known is None:
        with pytest.raises(NetworkError, match="is damaged: it is a list"):
            network.known_inputs()
        return
    found = network.known_inputs()
    assert found is not None
    assert (found.mean, found.std) == known


def test_a_run_goes_on_whether_the_number_of_classes_was_given_or_not(tmp_path: Path) -> None:
    words = ["--teacher.architecture", f"hf:{hugging_face(tmp_path, 5)}", "--student.architecture", "convnet_4"]
    assert transfer(tmp_path / "run", *words) == 0
    assert transfer(tmp_path / "run", *words, "--resume", "--teacher.num-classes", 5) == 0


def test_a_transformer_of_another_size_says_how_it_is_had(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    teacher = ["--teacher", own("make_dict"), *CIFAR]
    hint = r"shape \(3, 32, 32\): .*; it is made for 24x24: write \?{}=32 after its name, or say --shape 3 24 24 if"
    refused(tmp_path, capsys, [*teacher, "--student", f"{TIMM}&dynamic_img_size=False"], hint.format("img_size"))
    refused(tmp_path, capsys, [*teacher, "--student", f"hf:{hugging_face(tmp_path)}"], hint.format("image_size"))
    assert transfer(tmp_path / "run", *teacher, "--student", f"hf:{tmp_path / 'vit'}?image_size=32") == 0
    student = ["--student", "convnet_4"]
    message = "such as vit.embeddings.position_embeddings: is it a trained image classifier of this image_size"
    refused(tmp_path, capsys, ["--teacher", f"hf:{tmp_path / 'vit'}?image_size=32", *student], message)
    path = weights_of(timm.create_model("test_vit", img_size=24, patch_size=8, num_classes=10), tmp_path / "w.st")
    words = ["--teacher", "timm:test_vit?img_size=32&patch_size=8", "--teacher.weights", path, *student]
    refused(tmp_path, capsys, words, r"pos_embed has shape .* \(images of another size\? After the name, \?img_size=")


def test_attention_that_cannot_be_says_why_and_what_can_be_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    program = "a program of operators without modules: the network that it was exported from can be tapped"
    words = ["--teacher", exported(tmp_path, "pt2"), "--student", "convnet_4"]
    assert transfer(tmp_path / "pt2", *words) == 0
    assert f"compared activations: none found, none used: the teacher is {program}" in caplog.text
    refused(tmp_path, capsys, [*words, "--taps", "features=body.0"], f"nothing can be tapped in {program}")
    words = ["--teacher", "mlp_8", "--teacher.weights", tmp_path / "w.pt", "--student", "mlp_4", "--shape", 12]
    torch.save(make_network("mlp_8", in_channels=12, num_classes=10).state_dict(), tmp_path / "w.pt")
    assert transfer(tmp_path / "vectors", *words) == 0
    assert "compared activations: none found, none used: vectors have no positions to attend to" in caplog.text


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("timm:resnet18?pretrained", "timm"),
        ("hf:some/where", "transformers"),
        ("torchvision:resnet18?weights=DEFAULT", "torchvision"),
        ("model.onnx", "onnx"),
    ],
)
def test_a_missing_package_says_the_line_that_installs_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    extra = {"transformers": r"beliefmatch\[hf\]", "torchvision": package}.get(package, rf"beliefmatch\[{package}\]")
    for module in [module for module in sys.modules if module.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.chdir(tmp_path)
    Path("model.onnx").touch()
    words = ["--teacher.architecture", name, "--student.architecture", "convnet_4"]
    refused(tmp_path, capsys, words, f"the package {package} is not installed: pip install '{extra}'")


def test_weights_that_cannot_be_downloaded_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("the network is down\nand stays so")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", unreachable)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", unreachable)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    student = ["--student.architecture", "convnet_4"]
    for name, message in (
        ("torchvision:squeezenet1_1?weights=DEFAULT", "its weights cannot be had, .* the network is down.$"),
        ("timm:test_vit?pretrained", "its weights cannot be had"),
        ("hf:nobody/nothing", "has no configuration that transformers understands"),
    ):
        refused(tmp_path, capsys, ["--teacher.architecture", name, *student], message)


def test_a_configuration_is_changed_by_what_it_knows_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--teacher", f"hf:{hugging_face(tmp_path)}?imagesize=32", "--student", "convnet_4"]
    refused(tmp_path, capsys, words, "has no 'imagesize'; the nearest are image_size")


def test_a_classifier_without_its_head_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = ViTForImageClassification.from_pretrained(hugging_face(tmp_path))
    with contextlib.redirect_stderr(io.StringIO()):
        network.vit.save_pretrained(tmp_path / "vit")
    words = ["--teacher.architecture", f"hf:{tmp_path / 'vit'}", "--student.architecture", "convnet_4"]
    refused(tmp_path, capsys, words, "has no weights for 2 of its tensors, such as classifier.bias")


def test_pretrained_networks_tell_what_they_were_trained_with() -> None:
    known = Network(architecture="timm:test_vit?pretrained&img_size=64").known_inputs()
    assert known
    assert (known.shape, known.mean, known.normalisation_from) == ((3, 64, 64), (0.5, 0.5, 0.5), "checkpoint")
    known = Network(architecture="torchvision:resnet18?weights=IMAGENET1K_V1").known_inputs()
    assert known
    assert (known.shape, known.std, known.normalisation_from) == ((3, 224, 224), (0.229, 0.224, 0.225), "checkpoint")
    known = Network(architecture="timm:test_vit").known_inputs()
    assert known
    assert (known.shape, known.normalisation_from) == ((3, 160, 160), "default")


@pytest.mark.parametrize(
    ("preprocessor", "mean", "source"),
    [
        (None, None, None),
        ({"do_normalize": False}, None, "checkpoint"),
        ({"do_rescale": False, "image_mean": 127.5, "image_std": 127.5}, (0.5, 0.5, 0.5), "checkpoint"),
        ({"do_rescale": False, "do_normalize": False}, (0.0, 0.0, 0.0), "checkpoint"),
        ({"do_normalize": True}, None, None),
        ({"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}, (0.1, 0.2, 0.3), "checkpoint"),
        ({"image_mean": [0.1], "image_std": [0.4]}, None, None),
    ],
)
def test_a_folder_of_hugging_face_tells_a_normalisation_or_that_there_is_none(
    tmp_path: Path, preprocessor: dict[str, Any] | None, mean: tuple[float, ...] | None, source: str | None
) -> None:
    folder = hugging_face(tmp_path)
    if preprocessor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    known = Network(architecture=f"hf:{folder}").known_inputs()
    assert known
    assert (known.shape, known.mean, known.normalisation_from) == (SHAPE, mean, source)
