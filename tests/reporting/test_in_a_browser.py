"""A report as people see it: in a headless Chromium, at two widths, light and dark."""

import os
import shutil
import time
from collections.abc import Callable, Iterator

import pytest
from looking import HOSTILE, with_looks
from worlds import Place, mmssl

pytest.importorskip("altair")
playwright = pytest.importorskip("playwright.sync_api")
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium; apt-get install chromium")
WIDTHS = (390, 1280)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    place = tmp_path_factory.mktemp("report")
    world = Place(place)
    with_looks(world.data)
    world.train("--config.critic.enabled=True", "--config.data.modalities=image,text")
    ease = place / "ease"
    world.train(f"--workdir={ease}", "--config.model.name=ease")
    mmssl("report", world.run, ease, "--to", place / "report.html")
    return place / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with playwright.sync_playwright() as driver:
        sandbox = [] if os.name != "posix" or os.geteuid() else ["--no-sandbox"]
        browser = driver.chromium.launch(executable_path=BROWSER, args=sandbox)
        yield browser
        browser.close()


def until(true: Callable[[], bool]) -> None:
    """Waits for what a chart does soon after a click."""
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


class Page:
    """The report, opened, with all that it complained of and asked for."""

    def __init__(self, browser, report, width=1280, scheme="light"):
        self.said, self.asked = [], []
        size = {"width": width, "height": 900}
        self.page = browser.new_page(viewport=size, color_scheme=scheme)
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(report.as_uri())
        self.page.wait_for_selector("body[data-drawn]", timeout=60_000)

    def marks(self, chart: str) -> list[str]:
        """The shapes of the marks of a chart."""
        find = f"#chart-{chart} g.mark-symbol.role-mark path, #chart-{chart} g.mark-rect path"
        return self.page.eval_on_selector_all(
            find, "all => all.map(e => e.getAttribute('transform') + e.getAttribute('d'))"
        )

    def colour(self, query: str = "body") -> str:
        return self.page.eval_on_selector(query, "e => getComputedStyle(e).backgroundColor")


@pytest.fixture
def page(browser, report) -> Iterator[Page]:
    opened = Page(browser, report)
    yield opened
    opened.page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_opens_alone_and_without_a_word(browser, report, width, scheme, tmp_path):
    opened = Page(browser, report, width, scheme)
    page = opened.page
    assert opened.said == []
    assert [url for url in opened.asked if not url.startswith(("file:", "data:"))] == []
    charts = page.eval_on_selector_all("[data-chart]", "all => all.map(e => e.dataset.chart)")
    assert {"loss-critic", "loss-generator", "validation", "test", "map"} < set(charts)
    for chart in charts:
        drawn = page.locator(
            f"#chart-{chart} svg g.role-mark path, #chart-{chart} svg g.role-mark line"
        )
        assert drawn.count() > 0, chart
    widths = "[document.documentElement.scrollWidth, window.innerWidth]"
    assert len(set(page.evaluate(widths))) == 1, "wider than the screen"
    red, *_ = (int(part) for part in opened.colour()[4:-1].split(","))
    assert (red < 60) == (scheme == "dark")
    shown = page.screenshot(full_page=True, path=tmp_path / f"{scheme}-{width}.png")
    assert len(shown) > 50_000
    assert report.stat().st_size < 5_000_000
    page.close()


def test_titles_are_text(page):
    assert page.page.evaluate("window.hostile") is None
    assert page.page.locator("main img[src^='x']").count() == 0
    legend = page.page.locator("#chart-map").inner_text()
    assert "<b>cross</b>" in legend
    item = page.page.evaluate("JSON.parse(document.getElementById('specs').textContent).map")
    assert HOSTILE[:50] in str(item)


def test_a_tooltip_shows_the_title_as_text(page):
    page.page.locator("#map").scroll_into_view_if_needed()
    mark = page.page.locator("#chart-map g.mark-symbol.role-mark path").first
    mark.hover(force=True)
    tooltip = page.page.wait_for_selector("#vg-tooltip-element.visible")
    assert HOSTILE[:30] in tooltip.inner_text()
    assert page.page.evaluate("window.hostile") is None
    assert page.said == []


def test_the_metric_that_is_chosen_is_drawn(page):
    before = page.marks("validation"), page.marks("test")
    first = page.page.locator("select[data-signal=metric]").first
    first.select_option("ndcg@5")
    until(lambda: page.marks("validation") != before[0] and page.marks("test") != before[1])
    chosen = page.page.eval_on_selector_all(
        "select[data-signal=metric]", "all => all.map(e => e.value)"
    )
    assert chosen == ["ndcg@5"] * 2


def test_a_run_can_be_hidden_and_shown_again(page):
    both = page.marks("validation")
    box = page.page.locator("input[data-run=ease]")
    box.uncheck()
    until(lambda: 0 < len(page.marks("validation")) < len(both))
    box.check()
    until(lambda: len(page.marks("validation")) == len(both))


def test_other_groups_users_and_items_can_be_chosen(page):
    tests = page.page
    before = page.marks("groups-items")
    tests.locator("select[data-signal=division]").select_option("fixed bounds")
    until(lambda: page.marks("groups-items") != before)
    for kind in ("user", "item"):
        panels = tests.locator(f"[data-panel={kind}]")
        assert [panels.nth(place).is_visible() for place in range(3)] == [True, False, False]
        tests.locator(f"select[data-panels={kind}]").select_option("2")
        assert [panels.nth(place).is_visible() for place in range(3)] == [False, False, True]
        assert panels.nth(2).locator("img").count() > 5
    before = page.marks("map")
    tests.locator("select[data-signal=shown]").select_option("ease")
    until(lambda: page.marks("map") != before)


def test_the_keyboard_is_enough(page):
    keys = page.page.keyboard
    reached = []
    for _ in range(25):
        keys.press("Tab")
        reached.append(
            page.page.evaluate("document.activeElement.id || document.activeElement.tagName")
        )
    assert reached[:2] == ["A", "theme"]
    assert {"INPUT", "SELECT", "SUMMARY"} & set(reached) >= {"INPUT", "SELECT"}
    light = page.colour()
    page.page.locator("#theme").focus()
    keys.press("Enter")
    assert page.colour() != light
    keys.press("Enter")
    assert page.colour() == light
    page.page.locator("select[data-panels=user]").focus()
    keys.press("ArrowDown")
    assert page.page.locator("[data-panel=user]").nth(1).is_visible()
