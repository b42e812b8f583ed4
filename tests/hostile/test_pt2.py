"""A `.pt2` file in which any one text was replaced: it is refused in one line, or answers as it did."""

import json
import random
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from beliefmatch import load_model
from beliefmatch.errors import NetworkError
from hostile_texts import CANARY, KINDS, TEXTS, outcome, places, replaced

NUM_LOADED = 120
"""Cases that are tried of all places times kinds."""


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    path = tmp_path_factory.mktemp("program") / "program.pt2"
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        batch = {0: torch.export.Dim("batch", max=1024)}
        program = torch.export.export(nn.Linear(8, 3), (torch.randn(3, 8),), dynamic_shapes=(batch,))
        torch.export.save(program, path)
    with zipfile.ZipFile(path) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def write(path: Path, records: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in records.items():
            archive.writestr(f"archive/{name}", content)
    return path


def cases(records: dict[str, bytes]) -> list[tuple[str, tuple[Any, ...], bool, str]]:
    plain = [name for name in records if name.endswith(".json")]
    every = [(name, path, is_key) for name in plain for path, is_key in places(json.loads(records[name]))]
    chosen = random.Random(0).sample([(*each, kind) for each in every for kind in KINDS], NUM_LOADED)
    # Each kind of text once at the places that reach code: names, targets and expressions.
    named = [each for each in every if each[1][-1] in ("name", "target", "expr_str") and not each[2]]
    return chosen + [(*each, KINDS[index % len(KINDS)]) for index, each in enumerate(named)]


def test_a_text_of_any_kind_at_any_place_does_no_harm(records: dict[str, bytes], tmp_path: Path) -> None:
    batch = torch.randn(4, 8)
    expected = load_model(str(write(tmp_path / "whole.pt2", records)))(batch)
    refused: list[str] = []
    for name, path, is_key, kind in cases(records):
        content = json.loads(records[name])
        replaced(content, path, TEXTS[kind], is_key=is_key)
        file = write(tmp_path / "evil.pt2", records | {name: json.dumps(content).encode()})
        try:
            found = load_model(str(file))(batch)
        except NetworkError as error:
            refused.append(str(error))
        else:
            torch.testing.assert_close(found, expected)
        assert not Path(CANARY).exists(), (name, path, kind)
    assert len(refused) > NUM_LOADED / 2
    assert all(map(str.isprintable, refused))


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_tells_it_in_one_line(
    kind: str, records: dict[str, bytes], tmp_path: Path, inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads(records["models/model.json"])
    content["graph_module"]["graph"]["nodes"][0]["target"] = TEXTS[kind]
    file = write(tmp_path / "evil.pt2", records | {"models/model.json": json.dumps(content).encode()})
    code, error = outcome(capsys, "measure", "--teacher", file, "--student", file, "--images", inputs)
    assert code == 2
    assert "is refused: it calls" in error
