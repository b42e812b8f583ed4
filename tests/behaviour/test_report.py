"""The report in a real browser: it draws, sorts, fits a phone, follows the scheme, and prints."""

import base64
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from beliefmatch.report.page import write_report
from report.folders import cut_short, edit, make_run

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver (Debian: chromium, chromium-driver)"
    ),
]
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
PHONE = 380
FRAMES = "[...document.querySelectorAll('.scroll:has(> table)')]"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two seeds, of other settings, and of a run that was cut short: one run, and copies of it."""
    parent = tmp_path_factory.mktemp("runs")
    folders = [make_run(parent / "seed_0")]
    changes: dict[str, dict[str, int]] = {
        "seed_1": {"seed": 1},
        "a_folder_with_quite_a_long_name": {"batch_size": 16},
        "killed": {"batch_size": 32},
    }
    for name, changed in changes.items():
        folder = Path(shutil.copytree(folders[0], parent / name))
        edit(folder / "run.json", lambda run, changed=changed: run["settings"]["transfer"].update(changed))
        edit(folder / "result.json", lambda result, name=name: result.update(agreement=1 / len(name)))
        (folder / "measurement.json").unlink()
        folders.append(folder)
    cut_short(folders[-1], after=3)
    return write_report(folders)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    assert CHROMIUM is not None
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(executable_path=DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser: webdriver.Chrome, page: Path) -> webdriver.Chrome:
    """The page at the width of a desk, in the light scheme."""
    show(browser, width=1100, scheme="light")
    browser.get(page.as_uri())
    return browser


def show(browser: webdriver.Chrome, *, width: int, scheme: str) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def unfold(browser: webdriver.Chrome, *, unfolded: bool = True) -> None:
    browser.execute_script("document.querySelectorAll('details').forEach((each) => each.open = arguments[0])", unfolded)


def wait_for_a_frame(browser: webdriver.Chrome) -> None:
    """Wait until what watches the sizes of tables has been told."""
    browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(() => arguments[0]()))")


def ask(browser: webdriver.Chrome, script: str, *arguments: Any) -> Any:
    return browser.execute_script(f"return {script}", *arguments)


def undrawn(browser: webdriver.Chrome) -> list[str]:
    """Alternative texts of the images that are not there."""
    return browser.execute_async_script(
        """
        const done = arguments[0], images = [...document.images];
        Promise.allSettled(images.map((image) => image.decode())).then(() =>
          done(images.filter((image) => !(image.complete && image.naturalWidth > 0)).map((image) => image.alt)));
        """
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_images_are_drawn_and_nothing_complains(opened: webdriver.Chrome, page: Path, scheme: str) -> None:
    show(opened, width=1100, scheme=scheme)
    opened.get(page.as_uri())
    unfold(opened)
    assert ask(opened, "document.images.length") >= 3
    sizes = ask(opened, "[...document.querySelectorAll('.drawing svg')].map((each) => each.getBBox().width)")
    assert len(sizes) >= 10
    assert min(sizes) > 100
    assert undrawn(opened) == []
    assert opened.get_log("browser") == []  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("unfolded", [False, True])
def test_a_phone_need_not_scroll_sideways(opened: webdriver.Chrome, unfolded: bool) -> None:
    show(opened, width=PHONE, scheme="light")
    unfold(opened, unfolded=unfolded)
    assert ask(opened, "window.innerWidth") == PHONE
    assert ask(opened, "document.scrollingElement.scrollWidth") <= PHONE
    # Wide tables are there, and scroll within their own frame.
    assert ask(opened, f"{FRAMES}.some((each) => each.scrollWidth > each.clientWidth)")
    shown = "[...document.querySelectorAll('svg, .small img')].filter((each) => each.checkVisibility())"
    assert ask(opened, f"Math.min(...{shown}.map((each) => each.clientWidth))") > 150


@pytest.mark.parametrize("width", [PHONE, 1100])
def test_a_table_that_is_cut_says_so_and_no_other_does(opened: webdriver.Chrome, width: int) -> None:
    show(opened, width=width, scheme="light")
    unfold(opened)
    wait_for_a_frame(opened)
    tables = ask(
        opened,
        f"{FRAMES}.map((each) => [each.scrollWidth > each.clientWidth + 1, "
        "getComputedStyle(each.querySelector('caption span'), '::after').content.includes('Scroll sideways')])",
    )
    assert all(is_cut == says_so for is_cut, says_so in tables)
    assert any(is_cut for is_cut, _ in tables) or width > PHONE


def test_numbers_and_their_headings_stand_at_the_right(opened: webdriver.Chrome) -> None:
    unfold(opened)
    ends = ask(
        opened,
        "[...document.querySelectorAll('td.number, th.number')].map((each) => getComputedStyle(each).textAlign)",
    )
    assert len(ends) > 100
    assert set(ends) == {"right"}
    ragged = ask(
        opened,
        "[...document.querySelectorAll('.number .detail')].filter((each) => getComputedStyle(each).display != 'block')",
    )
    assert ragged == []


def test_a_run_is_short_on_a_phone(browser: webdriver.Chrome, page: Path, tmp_path: Path) -> None:
    """What is not needed at first is folded away: at most eight screens of 800 pixels."""
    alone = write_report([page.parent], out=tmp_path / "report.html")
    show(browser, width=PHONE, scheme="light")
    browser.get(alone.as_uri())
    assert ask(browser, "document.scrollingElement.scrollHeight") < 6_400


def test_figures_fill_a_phone(opened: webdriver.Chrome) -> None:
    show(opened, width=PHONE, scheme="light")
    unfold(opened)
    widths = ask(opened, "[...document.querySelectorAll('.figures:not(.small) svg')].map((each) => each.clientWidth)")
    assert min(widths) > 0.85 * PHONE


def test_a_click_on_a_heading_sorts(opened: webdriver.Chrome) -> None:
    table = next(each for each in opened.find_elements(By.TAG_NAME, "table") if "Each of 4 runs" in each.text)
    heading = next(each for each in table.find_elements(By.CSS_SELECTOR, "th[scope=col]") if "agreement" in each.text)
    column = ask(opened, "arguments[0].cellIndex", heading)

    def values() -> list[str | None]:
        cells = table.find_elements(By.CSS_SELECTOR, f"tbody tr > :nth-child({column + 1})")
        return [cell.get_attribute("data-value") for cell in cells]

    before = [float(value) for value in values() if value]
    for order, backwards in (("ascending", False), ("descending", True)):
        heading.find_element(By.TAG_NAME, "button").click()
        assert heading.get_attribute("aria-sort") == order
        # The run that was cut short has no agreement, and stands last either way.
        *found, last = values()
        assert last is None
        assert [float(value) for value in found if value] == sorted(before, reverse=backwards)


def test_numbers_are_sorted_as_numbers(opened: webdriver.Chrome) -> None:
    unfold(opened)
    table = opened.find_element(By.CSS_SELECTOR, "figure table.sortable")
    button = table.find_element(By.TAG_NAME, "button")
    rounds: list[list[float]] = []
    for _ in range(2):
        button.click()
        cells = table.find_elements(By.CSS_SELECTOR, "tbody th")
        rounds.append([float(cell.get_attribute("data-value") or "nan") for cell in cells])
    assert rounds[0] == sorted(rounds[0])
    assert rounds[1] == rounds[0][::-1]


def test_the_dark_scheme_changes_paper_and_figures(opened: webdriver.Chrome) -> None:
    seen = []
    drawn = "return ['text', 'path[clip-path]'].map((part) => getComputedStyle(document.querySelector(`svg ${part}`)))"
    for scheme in ("light", "dark"):
        show(opened, width=1100, scheme=scheme)
        assert undrawn(opened) == []
        paper = ask(opened, "getComputedStyle(document.documentElement).backgroundColor")
        ink = ask(opened, "getComputedStyle(document.documentElement).color")
        seen.append((paper, ink, *opened.execute_script(f"{drawn}.flatMap((style) => [style.fill, style.stroke])")))
    light, dark = seen
    assert light[0] == "rgb(255, 255, 255)"
    assert light[1] == light[2], "letters in figures have the colour of the page's"
    assert dark[1] == dark[2]
    assert all(first != second for first, second in zip(light, dark, strict=True) if first != "none")


def test_it_prints(opened: webdriver.Chrome) -> None:
    show(opened, width=1100, scheme="dark")
    printed = opened.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    pdf = base64.b64decode(printed["data"])
    assert pdf.startswith(b"%PDF-")
    assert len(pdf) > 50_000


def test_the_keyboard_reaches_headings(opened: webdriver.Chrome) -> None:
    ask(opened, "document.querySelector('table.sortable button').focus()")
    assert ask(opened, "document.activeElement.tagName") == "BUTTON"
    assert ask(opened, "getComputedStyle(document.activeElement).outlineStyle") != "none"
