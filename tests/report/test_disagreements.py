"""The gallery of images on which both networks disagree."""

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from beliefmatch.errors import FolderError
from beliefmatch.report.disagreements import IN_SIGHT, MAX_TILES
from beliefmatch.report.page import write_report
from report.conftest import Copy
from report.folders import edit
from report.html_page import Page, build

pytestmark = pytest.mark.usefixtures("undrawn")


def png(width: int, height: int) -> str:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((height, width), dtype=np.uint8)).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def tiles(page: Page) -> list[str]:
    return re.findall(r'<figure class="tile">.*?</figure>', page.html, flags=re.DOTALL)


def set_disagreements(folder: Path, count: int, **changes: object) -> None:
    each = {"position": 3, "label": 1, "teacher_class": 2, "student_class": 4, "png": png(8, 8)} | changes
    edit(folder / "measurement.json", lambda found: found.update(disagreements=[each] * count))


def test_each_image_has_its_label_and_both_predictions(copy: Copy) -> None:
    folder = copy("run")
    first = json.loads((folder / "measurement.json").read_text())["disagreements"][0]
    page = build(folder)
    tile = tiles(page)[0]
    assert f"data:image/png;base64,{first['png']}" in tile
    for words in (
        f"label: <strong>{first['label']}</strong>",
        f"teacher: <strong>{first['teacher_class']}</strong>",
        f"student: <strong>{first['student_class']}</strong>",
        f'alt="Example {first["position"]}: its label is {first["label"]}, the teacher gives {first["teacher_class"]}, '
        f'the student {first["student_class"]}."',
    ):
        assert words in tile, words


def test_names_of_classes_stand_in_the_place_of_numbers(copy: Copy) -> None:
    folder = copy("run")
    names = [f"name of {number}" for number in range(9)] + [""]
    edit(folder / "measurement.json", lambda found: found.update(class_names=names))
    set_disagreements(folder, 1, student_class=9)
    page = build(folder)
    assert "label: name of 1 teacher: name of 2 student: 9" in page.text
    assert "name of 8" in page.text, "the table by class has them too"


def test_without_labels_none_is_shown(copy: Copy) -> None:
    folder = copy("run")
    set_disagreements(folder, 1, label=None)
    page = build(folder)
    assert "teacher: 2 student: 4" in page.text
    assert "label:" not in page.text


def test_some_are_in_sight_and_the_rest_is_folded_away(copy: Copy) -> None:
    folder = copy("run")
    set_disagreements(folder, MAX_TILES + 100)
    page = build(folder)
    assert len(tiles(page)) == MAX_TILES == 24
    assert f"{MAX_TILES - IN_SIGHT} more" in page.text
    differ = json.loads((folder / "measurement.json").read_text())
    all_of_them = round((1 - differ["agreement"]["value"]) * 200)
    assert f"{MAX_TILES} of the {all_of_them} images to which teacher and student give different" in page.text


def test_where_none_was_kept_there_is_no_gallery(copy: Copy) -> None:
    folder = copy("run")
    edit(folder / "measurement.json", lambda found: found.update(disagreements=[]))
    assert "Where the two disagree" not in build(folder).text


@pytest.mark.parametrize("damaged", ["", "no base64", base64.b64encode(b"<svg/>").decode(), png(257, 8), png(8, 257)])
def test_what_is_no_small_png_is_damage(copy: Copy, damaged: str) -> None:
    folder = copy("run")
    set_disagreements(folder, 1, png=damaged)
    with pytest.raises(FolderError, match=r"measurement\.json is damaged: the image of example 3 is no PNG") as caught:
        write_report([folder])
    assert "\n" not in str(caught.value)
