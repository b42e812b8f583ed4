"""The whole page: what it says, what it leaves out, and that it needs nothing but itself."""

import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beliefmatch.report.figures import VARIABLES
from beliefmatch.report.page import TEMPLATES, write_report
from report.conftest import Copy
from report.folders import ROUNDS, cut_short, edit, edit_rows
from report.html_page import Page, build


@pytest.mark.usefixtures("undrawn")
def test_it_lies_in_the_first_folder_unless_told_otherwise(copy: Copy, tmp_path: Path) -> None:
    folders = [copy("first"), copy("second")]
    assert write_report(folders) == folders[0] / "report.html"
    assert write_report(folders, out=tmp_path / "page.html") == tmp_path / "page.html"
    assert (tmp_path / "page.html").read_bytes() == (folders[0] / "report.html").read_bytes()
    assert not (folders[1] / "report.html").exists()


def test_one_run_says_all_that_was_measured(copy: Copy) -> None:
    folder = copy("run")
    page = build(folder)
    measured = json.loads((folder / "measurement.json").read_text())
    result = json.loads((folder / "result.json").read_text())
    student = measured["student"]["top1"]
    shown = f"{100 * student['value']:.2f} % ({100 * student['low']:.1f} to {100 * student['high']:.1f})"
    assert page.text.count(shown) >= 2
    assert "Student steps" not in page.html, "how many steps a row stands for is no part of a loss"
    error = measured["transition"]["error"]["value"]
    assert f"Mean transition error, student guides: {error:.4f}" in page.text
    for words in (
        *("agreement", "size", "MACs", "latency", "examples passed through the student", "training time"),
        *("peak memory", "calibration error", "KL(teacher || student), nats", "top-5 accuracy"),
        *("200 examples of digits.npz", "By class", "Where they disagree most often", "Transition curves"),
        *("source.student_steps", "lightning-fabric", "beliefmatch.load_student(", "pytest"),
        *(f"{result['teacher_parameters']:,}", f"{result['seconds']:.1f} s", f"Round {ROUNDS}"),
    ):
        assert words in page.text, words


@pytest.mark.usefixtures("undrawn")
def test_several_seeds_are_averaged(two_runs: list[Path], tmp_path: Path) -> None:
    page = Page(write_report(two_runs, out=tmp_path / "report.html"))
    results = [json.loads((folder / "result.json").read_text()) for folder in two_runs]
    agreements = [100 * result["agreement"] for result in results]
    shown = f"{np.mean(agreements):.2f} ± {np.std(agreements, ddof=1):.2f} %"
    assert f"the same class to {shown} (mean ± standard deviation over 2 runs, seeds 0 and 1)" in page.text
    # Both students learnt from one teacher, so its accuracy has no deviation.
    assert f"the teacher to {100 * results[0]['teacher_accuracy']:.2f} %." in page.text
    assert "Each of 2 runs" in page.text
    assert "bands reach one standard deviation" in page.text


@pytest.mark.usefixtures("undrawn")
def test_runs_with_other_settings_stand_side_by_side(two_runs: list[Path], copy: Copy) -> None:
    other = copy("other")
    edit(other / "run.json", lambda run: run["settings"]["transfer"].update(batch_size=16))
    page = build(other, *two_runs)
    assert "Settings that differ setting batch size 16 batch size 8 batch_size 16 8" in page.text
    assert "batch size 16 (1 run, seed 0)" in page.text
    assert "batch size 8 (2 runs, seeds 0 and 1)" in page.text


@pytest.mark.usefixtures("undrawn")
def test_without_data_nothing_was_measured(copy: Copy) -> None:
    folder = copy("run")
    (folder / "measurement.json").unlink()
    for name in ("student_accuracy", "teacher_accuracy", "agreement"):
        edit(folder / "result.json", lambda result, name=name: result.update({name: None}))
    page = build(folder)
    assert page.text.count("not measured: no data given") == 3
    assert "Accuracy and agreement were not measured: no data was given." in page.text
    assert "Measured: Nothing on real data." in page.text
    assert "Measured on real data" not in page.text
    assert "None" not in page.text


@pytest.mark.usefixtures("undrawn")
def test_images_without_labels_give_agreement_alone(copy: Copy) -> None:
    folder = copy("run")
    edit(folder / "measurement.json", lambda measured: measured.update(teacher=None, student=None))
    edit(folder / "result.json", lambda result: result.update(teacher_accuracy=None, student_accuracy=None))
    page = build(folder)
    assert "Accuracy was not measured: the data has no labels. Both give the same class to" in page.text
    assert "not measured: no data given" not in page.text


@pytest.mark.parametrize("after", [0, 3])
def test_a_run_that_was_cut_short_is_reported_as_far_as_it_came(copy: Copy, after: int) -> None:
    folder = copy("killed")
    cut_short(folder, after=after)
    page = build(folder)
    assert f"killed was cut short after round {after} of {ROUNDS}" in page.text
    assert ("Learning curves" in page.text) == (after > 0)
    assert "There is no student to load yet" in page.text


@pytest.mark.usefixtures("undrawn")
def test_a_run_that_was_cut_short_stands_beside_one_that_was_not(two_runs: list[Path], copy: Copy) -> None:
    folder = copy("killed")
    edit(folder / "run.json", lambda run: run["settings"]["transfer"].update(seed=7))
    cut_short(folder, after=3)
    page = build(folder, *two_runs)
    assert f"killed was cut short after round 3 of {ROUNDS}" in page.text
    assert "(2 of 3 runs)" in page.text


def test_names_cannot_smuggle_anything_in(copy: Copy) -> None:
    evil = '<script>alert(1)</script>"><img src=x onerror=alert(1)>--></svg>$\\frac'
    folder = copy('a"><b>&amp;')
    edit(folder / "run.json", lambda run: run["settings"]["transfer"]["student"].update(architecture=evil))
    edit(folder / "run.json", lambda run: run.update(command=[evil], versions={evil: evil}))
    edit(folder / "measurement.json", lambda measured: measured.update(images=evil, class_names=[evil] * 10))
    edit(folder / "student.json", lambda facts: facts.update(architecture=evil))
    edit_rows(folder / "metrics.jsonl", lambda row: row.update({f"{evil}_loss": 1.0}))
    page = build(folder)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert "b" not in [tag for tag, _ in page.tags]
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert evil in page.text
    assert page.html.count("</svg>") == [tag for tag, _ in page.tags].count("svg") > 8, "figures hold it as letters"
    assert "alert(1)&lt;/script&gt;" in "".join(re.findall(r"<svg.*?</svg>", page.html, flags=re.DOTALL))


def test_the_page_needs_nothing_but_itself(two_runs: list[Path], tmp_path: Path) -> None:
    page = Page(write_report(two_runs, out=tmp_path / "report.html"))
    links = [
        value for _, attributes in page.tags for name in ("src", "srcset", "href") if (value := attributes.get(name))
    ]
    assert all(link.startswith(("data:", "#")) for link in links)
    bare = re.sub(r"base64,[A-Za-z0-9+/=]+", "", page.html)
    assert "http" not in bare.replace("http-equiv", "")
    assert all(link.startswith("url(#") for link in re.findall(r"url\(.", bare))
    assert "@import" not in bare
    assert "default-src 'none'" in bare


def test_figures_are_drawn_once_in_the_colours_of_the_style_sheet(copy: Copy) -> None:
    page = build(copy("run"))
    drawings = re.findall(r"<svg.*?</svg>", page.html, flags=re.DOTALL)
    assert len(drawings) == [tag for tag, _ in page.tags].count("svg") >= 8
    assert len(set(drawings)) == len(drawings)
    assert "image/svg" not in page.html
    named = set(re.findall(r"var\((--[\w-]+)\)", "".join(drawings)))
    assert {"--ink", "--faint", "--grid", "--paper", "--line-1", "--line-2"} <= named <= set(VARIABLES.values())
    # The areas of classes have colours of their own; all else is ink, lines or paper.
    plain = [drawing for drawing in drawings if "--paper" not in drawing]
    assert not re.search(r"#[0-9a-f]{6};|: #[0-9a-f]{6}", "".join(plain))
    assert not any(
        word in drawing for drawing in drawings for word in ("<style", "<script", "<metadata", "font-family")
    )


@pytest.mark.parametrize("scheme", [":root {", "prefers-color-scheme: dark"])
def test_each_scheme_has_a_value_for_every_colour_of_figures(scheme: str) -> None:
    style = (TEMPLATES / "style.css").read_text()
    values = style[style.index(scheme) :].partition("}")[0]
    assert all(f"{variable}: #" in values for variable in VARIABLES.values())


def test_every_figure_says_its_finding_and_has_its_data(copy: Copy) -> None:
    page = build(copy("run"))
    alternatives = page.alternatives
    assert len(alternatives) == len([tag for tag, _ in page.tags if tag in ("img", "svg")]) >= 9
    assert len(set(alternatives)) == len(alternatives)
    assert all(re.search(r"\d", text) and len(text) > 45 for text in alternatives)
    charts = [tag for tag, _ in page.tags if tag == "svg"]
    # Grids of pseudo images share one table.
    folded = [attributes.get("class") for tag, attributes in page.tags if tag == "details"]
    assert folded.count(None) == len(charts)
    assert folded.count("more") >= 5


@pytest.mark.usefixtures("undrawn")
def test_headings_stand_in_order_and_tables_are_named(two_runs: list[Path], tmp_path: Path) -> None:
    page = Page(write_report(two_runs, out=tmp_path / "report.html"))
    tags = [tag for tag, _ in page.tags]
    levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert tags.count("caption") == tags.count("table") > 10
    assert all(attributes.get("scope") for tag, attributes in page.tags if tag == "th")
    assert ("html", {"lang": "en"}) in page.tags


def test_the_same_runs_give_the_same_page(copy: Copy, tmp_path: Path) -> None:
    folder = copy("run")
    pages = [write_report([folder], out=tmp_path / name).read_bytes() for name in ("a.html", "b.html")]
    assert pages[0] == pages[1]


@pytest.mark.parametrize("name", ["FewShot", "Unlabelled"])
def test_batches_of_real_images_are_not_called_pseudo(name: str, copy: Copy) -> None:
    folder = copy("run")
    images = {"type": "Path", "path": "train.npz"}
    source = {"type": name, "images": images, "augmentation": "none", "padding": 4}
    edit(folder / "run.json", lambda run: run["settings"]["transfer"].update(source=source))
    edit(folder / "run.json", lambda run: run.update(command=["beliefmatch"]))
    edit_rows(folder / "metrics.jsonl", lambda row: [row.pop(name) for name in list(row) if name.startswith("gen")])
    page = build(folder)
    assert "pseudo" not in page.text.lower()
    assert "without data" not in page.text
    assert not any("pseudo" in text for text in page.alternatives)
    assert "What both networks return for the batches that the student was trained on" in page.text


def test_points_of_a_plane_are_drawn_between_regions(copy: Copy) -> None:
    folder = copy("run")
    # A student's own inputs would contradict the new ones.
    for name in ("measurement.json", "student.json", "student.safetensors"):
        (folder / name).unlink()
    edit(folder / "run.json", lambda run: run["settings"]["transfer"]["inputs"].update(shape=[2], mean=None, std=None))
    teacher = (np.indices((121, 121)).sum(axis=0) // 81).astype(np.uint8)
    for number, path in enumerate(sorted((folder / "pseudo").iterdir())):
        path.unlink()
        student = np.roll(teacher, 40 - 20 * number, axis=0)
        np.savez(
            path.with_suffix(".npz"),
            points=np.random.default_rng(0).normal(size=(50, 2)),
            teacher=teacher,
            student=student,
        )
    page = build(folder)
    assert "Pseudo points over time" in page.text
    told = [text for text in page.alternatives if "50 pseudo points" in text]
    assert len(told) == 3
    assert "same class on 100.0 % of the square" in told[-1]


@pytest.mark.parametrize("num_classes", [2, 1000])
def test_any_number_of_classes(copy: Copy, num_classes: int) -> None:
    folder = copy("run")
    (folder / "measurement.json").unlink()
    even = [round(1 / num_classes, 4)] * num_classes
    edit_rows(folder / "metrics.jsonl", lambda row: row.update(teacher_classes=even, student_classes=even))
    page = build(folder)
    assert ("Classes that the teacher gives" in page.text) == (num_classes == 2)
    effective = next(text for text in page.alternatives if "effective classes" in text)
    assert re.search(r" 1,000 | 2 ", effective)


@pytest.mark.usefixtures("undrawn")
def test_many_classes_are_told_by_those_that_agree_least(copy: Copy) -> None:
    folder = copy("run")

    def widen(measured: dict[str, Any]) -> None:
        measured["confusion"] = None
        measured["classes"] = [
            measured["classes"][0] | {"number": number, "agreement": {"value": number / 1000, "low": 0, "high": 1}}
            for number in range(1000)
        ]

    edit(folder / "measurement.json", widen)
    assert "By class: the 20 of 1,000 with the least agreement" in build(folder).text


def test_all_that_is_optional_may_be_missing(copy: Copy) -> None:
    folder = copy("run")
    for name in ("measurement.json", "student.json", "metrics.jsonl", "curves.png"):
        (folder / name).unlink()
    for picture in (folder / "pseudo").iterdir():
        picture.unlink()
    (folder / "pseudo").rmdir()
    missing = ("rounds_fraction", "student_macs", "teacher_macs", "peak_memory", "student_passes", "teacher_passes")
    edit(folder / "result.json", lambda result: result.update(dict.fromkeys(missing)))
    page = build(folder)
    assert "No round was logged, so there are no curves." in page.text
    assert "not recorded" in page.text


def test_a_report_is_built_without_torch(two_runs: list[Path], tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from beliefmatch.report.page import write_report; "
        "write_report([Path(sys.argv[1])], out=Path(sys.argv[2])); "
        "sys.exit(sum(name in sys.modules for name in ('torch', 'lightning_fabric', 'matplotlib.pyplot')))"
    )
    out = tmp_path / "report.html"
    done = subprocess.run([sys.executable, "-c", code, two_runs[0], out], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert out.is_file()


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_letters_and_lines_stand_out_in_both_schemes() -> None:
    schemes = re.findall(r":root \{(.*?)\}", (TEMPLATES / "style.css").read_text(), flags=re.DOTALL)
    assert len(schemes) == 2
    for scheme in schemes:
        colours = dict(re.findall(r"--([\w-]+): (#\w{6})", scheme))
        lines = [name for name in colours if name.startswith("line-")]
        assert len(lines) == 6
        for name in ("ink", "faint", "link", "warn", *lines):
            assert contrast(colours[name], colours["paper"]) >= 4.5, name
