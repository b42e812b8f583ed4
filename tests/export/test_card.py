"""The model card, of exports that are written down and not made."""

import ast
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from markdown_it import MarkdownIt

from beliefmatch import RunOptions, measure_run, run
from beliefmatch.errors import FolderError
from beliefmatch.export.card import CARD, File, check_card, write_card
from beliefmatch.networks.loading.network import Network
from beliefmatch.networks.normalisation import DIGITS
from beliefmatch.runs.folder import RunFolder
from beliefmatch.runs.schema.export import Deployed, EightBits, Export, FileCheck
from hostile_texts import KINDS, TEXTS
from report.folders import edit, transition
from tiny import tiny_transfer

RENDERER = MarkdownIt("commonmark").enable("table")

CHECK = FileCheck(name="inputs|of mine", num_examples=1234, largest_logit=7.0, max_logit_difference=1e-5, agreement=1.0)
EXPORT = Export(
    format="onnx",
    pixels="uint8",
    sha256="0123",
    pseudo=CHECK,
    num_noise=7,
    why_noise="the teacher is gone",
    images=replace(CHECK, name="digits.npz", accuracy=0.5, student_accuracy=0.5),
    student=Deployed(bytes=12345, macs=99, torch_latency=0.001, onnxruntime_latency=0.002),
    teacher=Deployed(bytes=None, macs=None, torch_latency=None, onnxruntime_latency=None),
    why_no_teacher="it cannot be loaded",
    threads=2,
    versions={"torch": "2.6", "onnx": "1.17"},
)
EIGHT_BITS = EightBits(
    calibrated_on="weighted",
    ranges="minmax",
    keep_float=["conv"],
    num_nodes=3,
    float_bytes=45678,
    latency=0.002,
    float_latency=0.001,
)
NAMES = {"onnx": "a|b.onnx", "safetensors": "model.safetensors"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run, and files that it is said to have exported."""
    path = tmp_path_factory.mktemp("runs") / "tiny"
    run(tiny_transfer(rounds=1), RunOptions(folder=path, accelerator="cpu"))
    folder = RunFolder(path)
    weights = replace(EXPORT, format="safetensors", pixels=None, images=None, num_noise=0, why_no_teacher=None)
    exports = {NAMES["onnx"]: EXPORT, NAMES["safetensors"]: weights}
    for name in NAMES.values():
        (path / name).write_bytes(b"")
    folder.write_result(replace(folder.read_result(), exports=exports))
    return folder


@pytest.fixture(scope="module")
def card(folder: RunFolder) -> str:
    return write_card(folder, folder.path / CARD).read_text()


def test_all_rows_of_a_table_have_as_many_cells_as_its_heading(card: str) -> None:
    tables = re.findall(r"(?:^\|.*\n)+", card, flags=re.MULTILINE)
    assert len(tables) == 3
    for table in tables:
        lines = table.splitlines()
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1, table
        assert all(line.endswith(" |") for line in lines)
        assert set(lines[1]) == set("| -")


def test_numbers_stand_where_they_belong(card: str) -> None:
    for line in (
        r"| `a\|b.onnx` | ONNX | pixels, uint8 | 12,345 | 1,234 inputs\|of mine; 1,234 examples of digits.npz |"
        " 1e-05 of 7; 1e-05 of 7 | 100.00 %; 100.00 % |",
        "| MACs | not measured | 99 |",
        r"| latency, onnxruntime, `a\|b.onnx` | not measured | 2 ms |",
        r"| accuracy of `a\|b.onnx` on 1,234 examples of digits.npz |  | 50.00 % |",
        "- `a|b.onnx`: torch 2.6, onnx 1.17; SHA-256 `0123`."
        " Of its inputs 7 were standard normal noise: the teacher is gone.",
        "- `model.safetensors`: torch 2.6, onnx 1.17; SHA-256 `0123`.",
        "Threads: 2.",
        "Numbers of the teacher are missing: it cannot be loaded.",
        "- Accuracy of the teacher on real data.",
        "- `model.safetensors` was not compared with the student on real data.",
        "- What was measured holds for `digits.npz` and for data like it, not for other data.",
    ):
        assert f"\n{line}\n" in card, line
    assert "- Accuracy of the student on real data." not in card
    assert "`a|b.onnx` was not compared" not in card
    assert not re.search(r"\n\n\n|None", card)
    assert card.endswith("differ.\n")


def test_what_was_measured_without_a_name_is_no_nothing(tmp_path: Path) -> None:
    run(tiny_transfer(rounds=1), RunOptions(folder=tmp_path, accelerator="cpu"))
    folder = RunFolder(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    exports = {"model.safetensors": replace(EXPORT, format="safetensors", images=None)}
    folder.write_result(replace(folder.read_result(), exports=exports))
    assert "- Nothing here says how it does on real data:" in write_card(folder, tmp_path / CARD).read_text()
    measure_run(folder, torch.randint(256, (20, 8, 8, 1), dtype=torch.uint8), trust_code=True)
    card = write_card(folder, tmp_path / CARD).read_text()
    assert "- What was measured holds for the set of examples that was measured and for data like it, not for" in card
    assert "Nothing here says" not in card


def test_a_card_of_the_same_run_may_be_replaced_and_a_changed_one_not(folder: RunFolder, card: str) -> None:
    check_card(folder, folder.path / CARD, overwrite=False)
    path = folder.path / CARD
    path.write_text(card.replace("ONNX", "onnx", 1))
    with pytest.raises(FolderError, match=r"README.md was changed by hand and a model card would replace it"):
        check_card(folder, folder.path / CARD, overwrite=False)
    check_card(folder, folder.path / CARD, overwrite=True)
    path.write_text(card)


@pytest.mark.parametrize(
    ("architecture", "needs"),
    [
        ("convnet_8", "`pip install beliefmatch`"),
        ("timm:resnet18", "`pip install 'beliefmatch[timm]'`"),
        ("hf:google/vit", "`pip install 'beliefmatch[hf]'`"),
        (
            "hf:/home/me/vit?num_layers=2",
            "`pip install 'beliefmatch[hf]'`, and the folder `vit` with the network's config.json beside it",
        ),
        ("/home/me/nets.py:make", "`pip install beliefmatch`, and `nets.py`, which makes the network, beside it"),
        ("package.nets:make", "`pip install beliefmatch`, and `package.nets`, which makes the network, too"),
    ],
)
def test_what_weights_alone_need(architecture: str, needs: str) -> None:
    network = Network(architecture=architecture, num_classes=10)
    weights = File(name="model.safetensors", export=replace(EXPORT, format="safetensors"), spec=DIGITS, network=network)
    assert weights.needs == needs
    graph = replace(weights, export=replace(EXPORT, format="pt2"))
    assert graph.needs == "`pip install torch`, and not beliefmatch"
    assert "/home" not in weights.code


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_of_a_file_is_no_markup_html_or_link_in_a_card(folder: RunFolder, tmp_path: Path, kind: str) -> None:
    evil = TEXTS[kind] + " <img src=x onerror=alert(1)> [a](https://b.example) `c` | ``d`` **e** www.f.example"
    copied = RunFolder(Path(shutil.copytree(folder.path, tmp_path / "run")))
    check = replace(CHECK, name=evil)
    export = replace(EXPORT, pseudo=check, images=replace(check, accuracy=0.5), why_noise=evil, why_no_teacher=evil)
    export = replace(export, versions={evil: evil}, teacher_license=evil, sha256=evil)
    copied.write_result(replace(copied.read_result(), exports={NAMES["onnx"]: export}))
    named = replace(copied.read_student(), architecture=f"{TEXTS[kind]}.py:make")
    copied.write_student_metadata(named)
    card = write_card(copied, copied.path / CARD).read_text()
    _, _, body = card.partition("\n---\n")
    body = body.partition("\n")[2]  # The marker is a comment of ours.
    tokens = [inner for token in RENDERER.parse(body) for inner in (token, *(token.children or ()))]
    assert not {"html_block", "html_inline", "link_open", "image", "strong_open"} & {token.type for token in tokens}
    shown = " ".join("".join(letter if letter.isprintable() else " " for letter in evil).split())
    assert shown in " ".join(token.content for token in tokens if token.type in ("text", "code_inline"))
    assert all(letter.isprintable() or letter == "\n" for letter in body)
    assert "https://b" not in re.sub(r"`.*?`", "", body)


@pytest.mark.parametrize("name", ['a") or evil("', "it's", "\\", "new\nline", "\udce9", "\U0001f600"])
def test_a_name_of_a_file_is_a_string_in_the_code_that_loads_it(name: str) -> None:
    network = Network(architecture="convnet_8", num_classes=10)
    for form in ("onnx", "pt2", "safetensors"):
        file = File(name=name, export=replace(EXPORT, format=form), spec=DIGITS, network=network)
        strings = [node.value for node in ast.walk(ast.parse(file.code)) if isinstance(node, ast.Constant)]
        assert name in strings


@pytest.mark.parametrize(
    ("rounds_fraction", "words"),
    [(0.01, "- 20 of the 2,000 rounds that"), (1.0, "- 20 rounds,"), (None, "- 20 rounds,"), (1e-320, "- 20 rounds,")],
)
def test_rounds_are_told_with_those_that_are_usual(
    folder: RunFolder, tmp_path: Path, rounds_fraction: float | None, words: str
) -> None:
    copied = RunFolder(Path(shutil.copytree(folder.path, tmp_path / "run")))
    copied.write_result(replace(copied.read_result(), rounds=20, rounds_fraction=rounds_fraction))
    assert words in write_card(copied, copied.path / CARD).read_text()


def test_a_check_writes_nothing(folder: RunFolder, tmp_path: Path) -> None:
    check_card(folder, tmp_path / CARD, overwrite=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("is_faster", [True, False])
def test_a_file_in_8_bits_stands_beside_the_same_in_32(folder: RunFolder, tmp_path: Path, is_faster: bool) -> None:
    copied = RunFolder(Path(shutil.copytree(folder.path, tmp_path / "run")))
    found = replace(EIGHT_BITS, latency=0.0005 if is_faster else 0.002)
    export = replace(EXPORT, in_8_bits=found)
    copied.write_result(replace(copied.read_result(), exports={NAMES["onnx"]: export}))
    card = " ".join(write_card(copied, copied.path / CARD).read_text().split())
    assert "is in 8 bits, calibrated on inputs that were made without data (weighted, minmax)." in card
    assert "Of its 3 nodes with weights 1 stayed in 32 bits." in card
    latency = "0.5 ms" if is_faster else "2 ms"
    assert f"has 45,678 bytes instead of 12,345, and takes 1 ms instead of {latency} for one example" in card
    assert ("8 bits are not faster on the machine that wrote it" in card) is not is_faster
    assert "agrees as far as the table of files says, not to rounding" in card


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (
            "fresh",
            "- It began without the teacher's weights and was trained against the teacher alone:",
        ),
        ("teacher", "- Layers that the teacher has too began with its weights, if there are any:"),
    ],
)
def test_a_card_tells_whose_weights_the_student_began_with(
    folder: RunFolder, tmp_path: Path, start: str, words: str
) -> None:
    copied = RunFolder(Path(shutil.copytree(folder.path, tmp_path / "run")))
    content = json.loads(copied.run.read_text())
    content["settings"]["transfer"]["student"]["start"] = start
    copied.run.write_text(json.dumps(content))
    card = write_card(copied, copied.path / CARD).read_text()
    assert words in card
    assert "It is made of the teacher's weights" not in card
    assert "before any softmax" not in card


def test_the_mean_transition_error_has_its_own_number_of_examples(folder: RunFolder, tmp_path: Path) -> None:
    copied = RunFolder(Path(shutil.copytree(folder.path, tmp_path / "run")))
    measure_run(copied, torch.randint(256, (30, 8, 8, 1), dtype=torch.uint8), trust_code=True)
    edit(copied.measurement, lambda found: found.update(transition=transition(1)))
    card = write_card(copied, copied.path / CARD).read_text()
    assert "| mean transition error of 20 examples, student guides, with two standard errors |  | " in card
    assert "\nOn 30 examples, but for the mean transition error, with 95 % intervals" in card
