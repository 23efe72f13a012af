"""The page of a cohort, opened in a real browser: it sorts, filters, draws what is near, and takes names for text."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from SegQualityQCLib.cohort.case_result import CaseResult
from SegQualityQCLib.cohort.manifest import CohortCase
from SegQualityQCLib.cohort.page import histogram, write_page
from SegQualityQCLib.cohort.pictures import MOST_THUMBNAILS, case_pictures, shown_slices
from SegQualityQCLib.cohort.results import CohortFolder
from SegQualityQCLib.demo import demo_case
from SegQualityQCLib.estimators.loading import load_estimator
from SegQualityQCLib.report.report import QualityReport, Status

HOSTILE = "<script>document.title = 'taken'</script>"
MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def assessed() -> tuple[dict, dict]:
    """The report of the demo heart as JSON types, and its pictures."""
    case = demo_case()
    report = load_estimator(None, "cpu").assess(case)
    return report.to_dict(), case_pictures(case, report)


def cohort(folder: Path, assessed: tuple[dict, dict], dices: dict[str, float | None], threshold: float = 0.7) -> Path:
    """The page of cases with these volume scores; None cannot be read."""
    content, pictures = assessed
    store = CohortFolder(folder)
    store.create(
        [CohortCase(name, folder / "i", folder / "s", extra={"site": f"site {n}"}) for n, name in enumerate(dices)]
    )
    for name, dice in dices.items():
        if dice is None:
            store.write(CaseResult(name, {}, (), f"The image {name} is damaged.", 0.1), [])
            continue
        volume = {"dice": dice, "low": max(dice - 0.1, 0.0), "high": min(dice + 0.05, 1.0)}
        store.write(
            CaseResult(name, {}, (QualityReport.from_dict(content | {"volume": volume}),), None, 0.1), [pictures]
        )
    write_page(store, threshold)
    return folder / "index.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """A headless Chromium."""
    selenium = pytest.importorskip("selenium.webdriver", reason="the browser is driven by the package selenium")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("there is no Chromium with its chromedriver on this machine")
    options = selenium.ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,1400"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = selenium.Chrome(options=options, service=selenium.ChromeService(driver))
    started.set_script_timeout(60)
    yield started
    started.quit()


def opened(browser, page: Path):
    browser.get_log("browser")
    browser.get(page.as_uri())
    # Two frames later the observer has told what is near the screen.
    browser.execute_async_script(
        "const done = arguments[0]; setTimeout(() => requestAnimationFrame(() => done()), 300)"
    )
    return browser


def shown(browser) -> list[str]:
    names = "[...document.querySelectorAll('.case')].filter(c => !c.hidden).map(c => c.querySelector('h2').textContent)"
    return browser.execute_script(f"return {names}")


def change(browser, element: str, value: str) -> None:
    script = (
        "const e = document.getElementById(arguments[0]); e.value = arguments[1];"
        "e.dispatchEvent(new Event('input')); e.dispatchEvent(new Event('change'))"
    )
    browser.execute_script(script, element, value)


DICES = {"case 10": 0.9, "case 9": 0.45, "poor": 0.2, HOSTILE: 0.65, "unreadable": None}


def test_cases_are_sorted_filtered_and_searched_without_an_error(browser, assessed, tmp_path):
    opened(browser, cohort(tmp_path, assessed, DICES))
    assert shown(browser) == ["poor", "case 9", HOSTILE, "case 10"]
    change(browser, "sort", "best")
    assert shown(browser)[0] == "case 10"
    change(browser, "sort", "name")
    assert shown(browser)[1:3] == ["case 9", "case 10"], "numbers in names count as numbers"
    change(browser, "sort", "rank")
    change(browser, "filter", "low")
    assert shown(browser) == ["poor", "case 9", HOSTILE]
    change(browser, "search", "CASE site")
    assert shown(browser) == ["case 9"]
    change(browser, "search", "nobody")
    assert shown(browser) == []
    assert browser.execute_script("return !document.getElementById('nothing').hidden")
    change(browser, "search", "")
    change(browser, "filter", "all")
    browser.execute_script("document.querySelector('.bar[data-low=\"0.2\"]').dispatchEvent(new Event('click'))")
    assert shown(browser) == ["poor"]
    browser.execute_script("document.getElementById('range').click()")
    assert len(shown(browser)) == 4
    bar = browser.find_element("css selector", '.bar[data-low="0.2"]')
    browser.execute_script("arguments[0].focus()", bar)
    browser.switch_to.active_element.send_keys(" ")
    assert shown(browser) == ["poor"]
    assert bar.get_attribute("aria-pressed") == "true"
    browser.switch_to.active_element.send_keys("\ue007")  # Enter
    assert len(shown(browser)) == 4
    assert bar.get_attribute("aria-pressed") == "false"
    assert browser.get_log("browser") == []


def test_a_case_named_like_a_script_is_text_and_the_page_asks_no_network(browser, assessed, tmp_path):
    opened(browser, cohort(tmp_path, assessed, DICES))
    assert browser.title.startswith("4 segmentations")
    assert HOSTILE in shown(browser)
    loaded = browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert all(name.startswith("data:") for name in loaded)
    assert "unreadable" in browser.execute_script("return document.getElementById('errors').textContent")


def test_the_slices_are_drawn_with_outline_and_colour_and_the_picture_looks_like_something(browser, assessed, tmp_path):
    content, pictures = assessed
    opened(browser, cohort(tmp_path, assessed, {"heart": 0.6}))
    captions = browser.execute_script("return [...document.querySelectorAll('figcaption')].map(f => f.textContent)")
    worst = content["order"][0]
    assert any(caption.startswith(f"Slice {worst}:") for caption in captions)
    assert browser.execute_script("return document.querySelectorAll('.large image').length") == len(pictures["large"])
    outlined = browser.execute_script(
        "return new Set([...document.querySelectorAll('.strip path')].map(p => p.getAttribute('d'))).size"
    )
    assert outlined == len([path for path in pictures["outlines"] if path])
    wide = browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    assert wide
    picture = tmp_path / "page.png"
    browser.save_screenshot(str(picture))
    if kept := os.environ.get("SEGQUALITY_SCREENSHOTS"):
        shutil.copy(picture, Path(kept) / "cohort.png")
    assert picture.stat().st_size > 50_000


def test_on_a_phone_nothing_is_wider_than_the_screen_and_in_print_all_cases_have_pictures(browser, assessed, tmp_path):
    page = cohort(tmp_path, assessed, {f"case {n}": n / 40 for n in range(40)})
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    )
    try:
        opened(browser, page)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        if kept := os.environ.get("SEGQUALITY_SCREENSHOTS"):
            browser.save_screenshot(str(Path(kept) / "cohort-phone.png"))
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    opened(browser, page)
    drawn = "return document.querySelectorAll('.pictures[data-drawn]').length"
    assert 0 < browser.execute_script(drawn) < 20
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert browser.execute_script(drawn) == 40


def test_a_thousand_cases_stay_small_and_are_drawn_as_one_comes_near(browser, assessed, tmp_path):
    page = cohort(tmp_path, assessed, {f"case {n}": n / 1100 for n in range(1050)})
    assert page.stat().st_size < 50 * MEBIBYTE
    opened(browser, page)
    drawn = (
        "return [...document.querySelectorAll('.pictures[data-drawn]')].map(p => Number(p.parentElement.dataset.rank))"
    )
    first = browser.execute_script(drawn)
    assert 1 in first
    assert len(first) < 20
    browser.execute_script("document.querySelector('[data-rank=\"700\"]').scrollIntoView()")
    browser.execute_async_script(
        "const done = arguments[0]; setTimeout(() => requestAnimationFrame(() => done()), 500)"
    )
    later = browser.execute_script(drawn)
    assert 700 in later
    assert 1 not in later
    assert len(later) < 30
    change(browser, "sort", "best")
    assert shown(browser)[0] == "case 1049"
    assert browser.execute_script("return document.querySelectorAll('.pictures').length") == 1000
    assert browser.get_log("browser") == []


def test_the_page_is_the_same_twice(assessed, tmp_path):
    page = cohort(tmp_path, assessed, DICES)
    before = page.read_bytes()
    assert cohort(tmp_path, assessed, DICES).read_bytes() == before
    assert HOSTILE.encode() not in before


def test_every_documented_flag_of_a_case_is_said_in_words(assessed, repository, tmp_path):
    content, _ = assessed
    text = (repository / "docs" / "schemas.md").read_text(encoding="utf-8")
    table = text.split("| flag of a case |")[1].split("\n\n")[0]
    flags = [row.split("`")[1] for row in table.splitlines() if row.startswith("| `")]
    assert "segment_left_out" in flags
    page = cohort(tmp_path, (content | {"flags": flags}, {}), {"flagged": 0.5}).read_text(encoding="utf-8")
    assert [flag for flag in flags if "_" in flag and flag in page] == []


def test_of_many_slices_the_worst_ones_are_shown_and_all_parts_of_the_volume(assessed):
    content, _ = assessed
    scored = next(entry for entry in content["slices"] if entry["status"] == Status.SCORED.value)
    many = [scored | {"index": n, "dice": 0.9 if n % 50 else 0.3, "low": 0.3, "high": 0.9} for n in range(300)]
    order = sorted(range(300), key=lambda n: (many[n]["dice"], n))
    chosen = shown_slices(QualityReport.from_dict(content | {"slices": many, "order": order}))
    assert len(chosen) == MOST_THUMBNAILS
    assert chosen == sorted(set(chosen))
    assert {0, 50, 100, 150, 200, 250} <= set(chosen)
    assert chosen[-1] == 299


def test_a_histogram_counts_each_score_once():
    bars = histogram([0.0, 0.049, 0.5, 1.0])
    assert [bar["count"] for bar in bars if bar["count"]] == [2, 1, 1]
    assert sum(bar["count"] for bar in bars) == 4
    assert max(bar["height"] for bar in bars) == 100
