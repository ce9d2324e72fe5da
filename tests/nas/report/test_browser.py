"""The page in a headless browser: it sorts, filters, opens rows, prints, is accessible, and asks nothing of anybody."""

from __future__ import annotations

import csv
import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from made_up_runs import made_up

from nas.api.report import runs_named, served, write_report
from nas.options.report import Report

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
WANTED = "NAS_BROWSER_TESTS"
"""With this in the environment these tests fail where there is no browser; else they are skipped."""

WIDTHS = (320, 390, 768, 1280, 1920)

pytestmark = [pytest.mark.browser, pytest.mark.outside]

playwright = (
    pytest.importorskip("playwright.sync_api") if WANTED not in os.environ else __import__("playwright.sync_api")
)


@pytest.fixture(scope="module")
def browser() -> Iterator:
    if CHROMIUM is None:
        if WANTED in os.environ:
            pytest.fail("no chromium: apt-get install chromium, or CHROMIUM=/path/to/it")
        pytest.skip("no chromium on this machine: apt-get install chromium, or CHROMIUM=/path/to/it")
    if WANTED not in os.environ:
        pytest.importorskip("playwright", reason="no playwright: pip install '.[test]'")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()


@dataclass
class Opened:
    """A page that is open, and what it has said and asked for."""

    page: object
    told: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def ids(self) -> list[str]:
        return self.page.eval_on_selector_all(
            "#board tbody tr[data-id]:not([hidden])", "rows => rows.map(r => r.dataset.id)"
        )

    def figures(self, column: str) -> list[float]:
        return self.page.eval_on_selector_all(
            f"#board tbody tr[data-id] .c-{column}", "cells => cells.map(c => +c.dataset.v)"
        )


@contextmanager
def opened(browser, where: str, *, width: int = 1280, **context) -> Iterator[Opened]:
    """Whatever it says on the console, or asks for beyond itself, fails the test."""
    made = browser.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce", **context)
    made.set_default_timeout(20_000)
    page = made.new_page()
    found = Opened(page)
    page.on("console", lambda message: found.told.append(message.text))
    page.on("pageerror", lambda error: found.told.append(str(error)))
    page.on("request", lambda request: found.asked.append(request.url))
    page.goto(where)
    try:
        yield found
    finally:
        made.close()
    assert found.told == []
    assert {url.partition("#")[0] for url in found.asked if not url.startswith("blob:")} == {where.partition("#")[0]}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    reason = "</script><img src=x onerror=alert(1)>"
    made_up(root, "first", candidates=40, timed=True, reason=reason, label="<b>full token mixing")
    made_up(root, "second", lead=-0.2)
    return root


@pytest.fixture(scope="module")
def where(runs) -> str:
    return write_report(runs_named(["first"], runs)).as_uri()


def test_it_sorts_both_ways_and_says_so(browser, where):
    with opened(browser, where) as found:
        page, before = found.page, found.ids()
        header = page.locator("#board th[data-col=par]")
        header.get_by_role("button").click()
        assert found.figures("par") == sorted(found.figures("par"))
        assert header.get_attribute("aria-sort") == "ascending"
        header.get_by_role("button").press("Enter")
        assert found.figures("par") == sorted(found.figures("par"), reverse=True)
        assert header.get_attribute("aria-sort") == "descending"
        assert page.locator("#board th[aria-sort]").count() == 1
        page.locator("#board th[data-col=acc] button").click()
        assert found.figures("acc") == sorted(found.figures("acc"), reverse=True)  # the best first
        page.locator("#board th[data-col=place] button").click()
        assert found.ids() == before


def test_it_filters_the_rows_and_the_plots(browser, where):
    with opened(browser, where) as found:
        page = found.page
        every = found.ids()
        page.keyboard.press("/")
        page.keyboard.type(every[3])
        assert found.ids() == [every[3]]
        assert page.locator("#shown").text_content() == f"1 of {len(every)} shown, here and in the plots"
        assert page.locator(f"#cost [data-id='{every[5]}']").first.get_attribute("class").endswith("off")
        assert "off" not in page.locator(f"#cost [data-id='{every[3]}']").first.get_attribute("class")
        assert page.locator("#verdict .off").count() == 0
        page.fill("#find", "")
        page.uncheck("input[value=pruned]")
        assert page.locator("#board tr[data-kind=pruned]:visible").count() == 0
        assert 0 < len(found.ids()) < len(every)
        page.fill("#find", "no such thing")
        assert found.ids() == []


def test_a_link_opens_the_row_of_a_network(browser, where):
    with opened(browser, where) as found:
        id = found.ids()[-8]
    with opened(browser, f"{where}#n-{id}") as found:
        page = found.page
        page.locator(".det pre", has_text="def model()").wait_for()
        assert page.locator(f"#n-{id} + tr.det code", has_text=f"nas show first {id}").count() == 1
        assert page.evaluate("document.activeElement.getAttribute('href')") == f"#n-{id}"
        assert page.locator(f"#n-{id}").bounding_box()["y"] < 900
        page.locator(f"#n-{id} .id").click()
        assert page.locator("tr.det").count() == 0
        page.locator(f"#n-{id} .id").click()
        assert page.locator("tr.det").count() == 1
        page.locator("#cost .pt.pt-fin").first.click()
        page.locator("tr.det .big > svg").first.wait_for()  # of finalists the blocks, as `nas draw` has them
        assert page.locator("tr.det").count() == 2
        assert page.evaluate("location.hash").startswith("#n-")


def test_a_plot_can_be_walked_through_by_keyboard(browser, where):
    with opened(browser, where) as found:
        page = found.page
        page.locator("#cost svg[data-walk]").first.focus()
        page.keyboard.press("ArrowRight")
        first = page.locator("#said").text_content()
        page.keyboard.press("ArrowRight")
        assert first and page.locator("#said").text_content() != first and "parameters" in first
        assert page.locator("#tip").is_visible() and page.locator(".pt.on").count() >= 1
        page.keyboard.press("Escape")
        assert not page.locator("#tip").is_visible()
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("Enter")
        page.locator("tr.det").wait_for()


def test_pointing_at_a_network_lights_it_everywhere(browser, where):
    with opened(browser, where) as found:
        page, id = found.page, found.ids()[0]
        page.locator(f"#n-{id}").hover()
        assert page.locator(f"#curves [data-id='{id}'].on").count() >= 1
        assert page.locator(f"#cost [data-id='{id}'].on").count() >= 1
        page.locator("h1").hover()
        assert page.locator(".on").count() == 0


def test_results_are_saved_as_they_are(browser, where, runs, tmp_path):
    lines = (runs / "first" / "results.jsonl").read_text().splitlines()
    with opened(browser, where) as found:
        page = found.page
        for kind in ("jsonl", "csv"):
            with page.expect_download() as saving:
                page.click(f"[data-save={kind}]")
            assert saving.value.suggested_filename == f"first.{kind}"
            saving.value.save_as(tmp_path / f"saved.{kind}")
    kept = [json.loads(line) for line in (tmp_path / "saved.jsonl").read_text().splitlines()]
    assert [(line["id"], line["scores"], line["right"]) for line in kept] == [
        (line["id"], line["scores"], line.get("right", "")) for line in map(json.loads, lines)
    ]
    rows = list(csv.DictReader((tmp_path / "saved.csv").open(newline="")))
    assert [row["id"] for row in rows] == [line["id"] for line in kept]
    assert float(rows[0]["last_accuracy"]) == kept[0]["scores"][-1]["accuracy"]


def test_text_is_copied(browser, where):
    with opened(browser, where, permissions=["clipboard-read", "clipboard-write"]) as found:
        found.page.locator("#winner .copy").first.click()
        found.page.get_by_text("Copied").wait_for()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_accessible(browser, where, theme):
    from axe_playwright_python.sync_playwright import Axe

    with opened(browser, where, color_scheme=theme, bypass_csp=True) as found:
        found.page.locator("#board .id").first.click()
        found.page.locator(".det pre", has_text="def model()").wait_for()
        violations = Axe().run(found.page).response["violations"]
    told = [(each["id"], [node["html"][:200] for node in each["nodes"][:3]]) for each in violations]
    assert told == []


@pytest.mark.parametrize("name", ["one", "side by side"])
def test_it_fits_every_width(browser, runs, name, where, tmp_path):
    if name != "one":
        where = write_report(runs_named(["first", "second"], runs), tmp_path / "both.html").as_uri()
    with opened(browser, where) as found:
        page = found.page
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, width
            small = page.eval_on_selector_all(
                "svg text",
                """texts => texts.filter(t => t.checkVisibility() && t.getBoundingClientRect().height > 0).map(
                    t => [t.getBoundingClientRect().height / 1.15, t.textContent]).filter(t => t[0] < 6).slice(0, 5)""",
            )
            assert small == [], width
            below = page.evaluate(
                """document.documentElement.scrollHeight - scrollY
                    - document.querySelector("footer").getBoundingClientRect().bottom"""
            )
            assert below < 60, width


def test_it_prints(browser, where):
    with opened(browser, where) as found:
        page = found.page
        page.emulate_media(media="print", color_scheme="dark")
        page.set_viewport_size({"width": 688, "height": 970})  # A4 within its margins
        assert page.evaluate("document.documentElement.scrollWidth") <= 688
        assert not page.locator("nav").is_visible() and not page.locator(".tools").is_visible()
        board = page.locator(".scroll")
        assert board.evaluate("e => e.scrollHeight <= e.clientHeight + 2")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.pdf(format="A4").startswith(b"%PDF")


def test_without_scripts_all_is_there_but_controls(browser, where):
    with opened(browser, where, java_script_enabled=False) as found:
        page = found.page
        assert page.locator("#board tbody tr").count() > 20
        for control in (".tools", ".copy", "[data-save]"):
            assert page.locator(control).first.is_hidden()
        assert page.locator("#cost svg circle").first.is_visible()


def test_a_run_without_anything_opens(browser, runs, tmp_path):
    run = made_up(runs, "empty", candidates=0, finals=0)
    with opened(browser, write_report([run], tmp_path / "empty.html").as_uri()) as found:
        assert found.page.locator("h1").text_content() == "No finals yet"


@pytest.mark.slow
def test_five_thousand_candidates_open_in_three_seconds(browser, tmp_path):
    path = write_report([made_up(tmp_path, candidates=5000)])
    assert path.stat().st_size < 2_000_000
    with opened(browser, path.as_uri()) as found:
        timing = found.page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
        assert timing < 3000
        found.page.locator("#board th[data-col=par] button").click()
        assert found.figures("par") == sorted(found.figures("par"))


def test_a_served_page_follows_its_run(browser, runs):
    run = made_up(runs, "followed")
    results = run.folder.path / "results.jsonl"
    lines = results.read_text().splitlines(keepends=True)
    results.write_text("".join(lines[:-9]))
    with served(["followed"], Report(runs_dir=runs)) as server:
        server.every = 0.1
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        context = browser.new_context()
        page, told = context.new_page(), []
        page.on("console", lambda message: told.append(message.text))
        try:
            page.goto(server.address)
            before = page.locator("h1").text_content()
            page.fill("#find", "final")
            with page.expect_navigation():
                results.write_text("".join(lines))
            page.locator("h1", has_text="beats").wait_for()
            assert before != page.locator("h1").text_content()
            page.wait_for_function("document.querySelector('#find').value === 'final'")
            assert told == []
        finally:
            context.close()
            server.shutdown()
            thread.join(10)
