"""What `beliefmatch cite` prints: the papers of all that a run used, and beliefmatch."""

import inspect
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from beliefmatch import NamedStudent, Network, RunFolder, Setup
from beliefmatch.cli import main
from beliefmatch.objectives.base import AbstractObjective
from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.recipes import ALL, SETTINGS_TYPES
from beliefmatch.recipes.citations import PAPERS, Paper, cite_software, papers_of
from beliefmatch.runs.schema.run import RunSettings
from beliefmatch.runs.serialisation import to_json
from beliefmatch.sources.base import AbstractSource
from beliefmatch.sources.few_shot import FewShot
from beliefmatch.sources.unlabelled import Unlabelled
from beliefmatch.training.transfer import Transfer

METHODS = [kind for kind in SETTINGS_TYPES if issubclass(kind, AbstractSource | AbstractObjective)]
IMAGES = Path("x.npz")
NEEDED = {
    "few_shot": FewShot(images=IMAGES),
    "fine_tune": FewShot(images=IMAGES),
    "unlabelled": Unlabelled(images=IMAGES),
}


def transfer_of(recipe: str, student: str = "wide_resnet_16_1") -> Transfer:
    named = NamedStudent(architecture=student, weights=Path("s.safetensors") if recipe == "fine_tune" else None)
    setup = Setup(teacher=Network(architecture="wide_resnet_40_2"), student=named, dataset="cifar10")
    return ALL[recipe](setup, **({"source": NEEDED[recipe]} if recipe in NEEDED else {}))


def keys_of(recipe: str) -> list[str]:
    return [paper.key for paper in papers_of(transfer_of(recipe))]


@pytest.mark.parametrize("kind", METHODS, ids=lambda kind: kind.__name__)
def test_every_method_has_papers_that_its_file_names(kind: type[AbstractSource | AbstractObjective]) -> None:
    text = " ".join((inspect.getdoc(inspect.getmodule(kind)) or "").split())
    for paper in PAPERS[kind]:
        assert re.search(rf"{paper.authors[0].split(',')[0]} (& \w+|et al\.) {paper.year}", text), paper.key


@pytest.mark.parametrize("recipe", ALL)
def test_every_recipe_has_papers_each_once(recipe: str) -> None:
    keys = keys_of(recipe)
    assert len(keys) == len(set(keys)) > 0


@pytest.mark.parametrize(
    ("recipe", "keys"),
    [
        ("zero_shot", ["micaelli2019zeroshot", "zagoruyko2017paying"]),
        ("digits", ["micaelli2019zeroshot", "yin2020dreaming", "fang2019data"]),
        ("toy", ["micaelli2019zeroshot"]),
        ("few_shot", ["micaelli2019zeroshot", "hinton2015distilling", "zagoruyko2017paying"]),
        ("cmi", ["fang2021contrastive", "micaelli2019zeroshot"]),
        (
            "best",
            [
                *("frank2025what", "baradad2021learning", "yin2020dreaming"),
                *("micaelli2019zeroshot", "romero2015fitnets", "xu2024initializing"),
            ],
        ),
    ],
)
def test_options_bring_their_papers(recipe: str, keys: list[str]) -> None:
    assert keys_of(recipe) == keys


def test_an_option_that_is_off_brings_none() -> None:
    transfer = transfer_of("zero_shot")
    plain = replace(transfer, objective=BeliefMatching(attention_weight=0.0))
    assert [paper.key for paper in papers_of(plain)] == ["micaelli2019zeroshot"]


def test_an_entry_is_bibtex() -> None:
    paper = Paper(key="a2020b", authors=("A, B", "C, D"), title="E", year=2020, venue="F", arxiv="1.2")
    assert paper.to_bibtex() == (
        "@inproceedings{a2020b,\n  title = {E},\n  author = {A, B and C, D},\n  booktitle = {F},\n  year = {2020},\n"
        "  eprint = {1.2},\n  archiveprefix = {arXiv},\n}\n"
    )
    assert replace(paper, venue=None).to_bibtex().startswith("@misc{a2020b,\n  title = {E},\n  author")


def test_a_paper_in_one_line() -> None:
    paper = Paper(key="a2020b", authors=("A, B", "C, D"), title="{E} F", year=2020, venue="G", arxiv="1.2")
    assert paper.to_text() == "A & C 2020, E F, G"
    assert replace(paper, venue=None).to_text() == "A & C 2020, E F, arXiv 1.2"
    assert replace(paper, authors=("A, B", "C, D", "H, I")).to_text() == "A et al. 2020, E F, G"


def test_keys_are_unique_and_braces_balance() -> None:
    papers = {paper for kind in PAPERS for paper in PAPERS[kind]}
    assert len({paper.key for paper in papers}) == len(papers)
    assert all(re.fullmatch(r"\d{4}\.\d{4,5}", paper.arxiv) for paper in papers)
    assert all(paper.to_bibtex().count("{") == paper.to_bibtex().count("}") for paper in papers)


def test_a_version_that_is_none_is_left_out() -> None:
    assert "version = {0.1.0}" in cite_software("0.1.0")
    assert "version" not in cite_software("1}, note = {x")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder of a run whose student is in a file that must not be imported."""
    (tmp_path / "mine.py").write_text("raise SystemExit('imported')\n")
    folder = RunFolder(tmp_path / "run")
    transfer = to_json(transfer_of("zero_shot", student=f"{tmp_path / 'mine.py'}:make"))
    folder.begin(
        RunSettings(transfer=transfer, teacher_sha256="0", num_processes=1, device="cpu", precision="32-true"),
        resume=False,
    )
    folder.release()
    return folder.path


def test_the_command_prints_papers_and_beliefmatch(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cite", str(run)]) == 0
    out = capsys.readouterr().out
    assert re.findall(r"@(\w+)\{(\w+),", out) == [
        ("inproceedings", "micaelli2019zeroshot"),
        ("inproceedings", "zagoruyko2017paying"),
        ("software", "beliefmatch"),
    ]
    assert "author = {Micaelli, Paul and Storkey, Amos J.}" in out
    assert "version = {0." in out


def test_a_folder_without_a_run_and_a_damaged_one_are_told(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cite", str(tmp_path / "nowhere")]) == 2
    assert "holds no run" in capsys.readouterr().err
    content = json.loads((run / "run.json").read_text())
    content["settings"]["transfer"]["source"]["type"] = "Popen"
    (run / "run.json").write_text(json.dumps(content))
    assert main(["cite", str(run)]) == 2
    assert "settings.transfer.source.type is 'Popen'" in capsys.readouterr().err
