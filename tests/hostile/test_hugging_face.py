"""Configurations of Hugging Face that ask for code, or hold any text."""

import json
from pathlib import Path
from typing import Any

import pytest

from hostile_texts import CODE, KINDS, TEXTS, outcome

CONFIG: dict[str, Any] = {
    "model_type": "resnet",
    "architectures": ["ResNetForImageClassification"],
    "embedding_size": 8,
    "hidden_sizes": [8, 16],
    "depths": [1, 1],
    "layer_type": "basic",
}


def measure(folder: Path, inputs: Path, capsys: pytest.CaptureFixture[str], **changes: Any) -> tuple[int, str]:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | changes))
    (folder / "evil.py").write_text(CODE)
    network = f"hf:{folder}"
    shape = ("--shape", 3, 32, 32)
    return outcome(capsys, "measure", "--teacher", network, "--student", network, *shape, "--images", inputs)


@pytest.mark.usefixtures("fresh_process")
@pytest.mark.parametrize("name", ["attn_implementation", "_attn_implementation", "_experts_implementation"])
def test_kernels_of_the_hub_are_refused(
    name: str, tmp_path: Path, inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, error = measure(tmp_path / "hub", inputs, capsys, **{name: "kernels-community/evil"})
    assert code == 2
    assert "is refused: its " in error


@pytest.mark.usefixtures("fresh_process")
@pytest.mark.parametrize("kind", KINDS)
def test_texts_of_a_configuration_do_no_harm(
    kind: str, tmp_path: Path, inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = TEXTS[kind]
    code_of_theirs = {"auto_map": {"AutoConfig": "evil.Config", "AutoModelForImageClassification": "evil.Model"}}
    for changes in ({"model_type": text}, {"hidden_act": text}, {text: text}, {"model_type": text} | code_of_theirs):
        assert measure(tmp_path / "hub", inputs, capsys, **changes)[0] == 2
