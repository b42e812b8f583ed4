"""Names of classes: as given, as typed, from a file, and from the configuration of a Hugging Face model."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from beliefmatch.errors import FolderError, SettingsError
from beliefmatch.measurement.class_names import MAX_CHARACTERS, choose_class_names, read_class_names
from beliefmatch.measurement.run import measure_networks
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.network import Network


def network(id2label: Any) -> nn.Module:
    """A network with a configuration, as those of transformers have."""
    module = nn.Identity()
    module.config = SimpleNamespace(id2label=id2label)  # pyright: ignore[reportAttributeAccessIssue,reportArgumentType]
    return module


def test_those_that_the_user_gives_go_first() -> None:
    known = network({0: "cat", 1: "dog"})
    assert choose_class_names(["a", "b"], known, 2) == ("a", "b")
    assert choose_class_names(None, known, 2) == ("cat", "dog")
    assert choose_class_names(None, nn.Identity(), 2) is None


@pytest.mark.parametrize(
    "id2label",
    [
        *({0: "LABEL_0", 1: "LABEL_1"}, {0: "cat"}, {0: "cat", 2: "dog"}, {0: "cat", 1: "dog", 2: "cow"}),
        *(["cat", "dog"], None, "ab"),
    ],
)
def test_a_configuration_that_does_not_name_each_class_gives_no_names(id2label: Any) -> None:
    assert choose_class_names(None, network(id2label), 2) is None


def test_numbers_of_a_configuration_may_be_text() -> None:
    assert choose_class_names(None, network({"1": "dog", "0": "cat"}), 2) == ("cat", "dog")


def test_another_number_of_names_is_told() -> None:
    with pytest.raises(SettingsError, match="class_names has 3 names, but the networks know 2 classes"):
        choose_class_names(["a", "b", "c"], nn.Identity(), 2)


def test_a_name_is_one_line_of_bounded_length() -> None:
    names = choose_class_names(["a\n\tb\udce9", "x" * 1000], nn.Identity(), 2)
    assert names is not None
    assert names[0] == "a b?"
    assert len(names[1]) == MAX_CHARACTERS


def test_one_word_may_name_a_file(tmp_path: Path) -> None:
    file = tmp_path / "names.txt"
    file.write_text("\ufeffcat\n a dog \n\ncow\n")
    assert read_class_names([str(file)]) == ("cat", "a dog", "", "cow")
    assert read_class_names(["cat", "dog"]) == ("cat", "dog")
    for word in ("cat", "x" * 5000, "a\0b"):
        assert read_class_names([word]) == (word,)


def test_a_file_that_holds_no_names_is_told(tmp_path: Path) -> None:
    (tmp_path / "names.bin").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"names\.bin holds no UTF-8 text"):
        read_class_names([str(tmp_path / "names.bin")])
    with pytest.raises(FolderError, match="cannot be read"):
        read_class_names([str(tmp_path)])


def test_a_model_of_hugging_face_brings_its_names(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = transformers.ViTConfig(image_size=8, patch_size=4, id2label={0: "cat", 1: "dog", 2: "cow"}, **sizes)
    transformers.ViTForImageClassification(config).save_pretrained(tmp_path)
    spec = InputSpec(shape=(3, 8, 8))
    teacher, student = (Network(architecture=f"hf:{tmp_path}").load(spec) for _ in range(2))
    images = torch.randint(256, (20, 8, 8, 3), dtype=torch.uint8)
    found = measure_networks(teacher, student, spec, images, accelerator="cpu")
    assert found.class_names == ("cat", "dog", "cow")
    named = measure_networks(teacher, student, spec, images, accelerator="cpu", class_names=["a", "b", "c"])
    assert named.class_names == ("a", "b", "c")
