"""The page of a report in a browser: its size, its parts, what is copied, and the print."""

import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from browser import CHROMIUM, Browser
from pypdf import PdfReader
from test_report import Page, add_fold

from edaemo.benchmark import ResultStore, write_report

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"
)
# The rows of a long name have many lines, so that some of them are at the end of a page.
LONG = " ".join(["boosting"] * 30)
PIPELINES = ("majority", "trial-order", "svm-eda", "logistic-eda", LONG, "cnn-eda")
OPEN_ALL = "document.querySelectorAll('details').forEach(part => part.open = true)"
HEIGHT = "document.documentElement.scrollHeight"
A4 = 794 - 2 * 53  # pixels between the margins of 14 mm


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    """The page of twelve comparisons of six pipelines."""
    out = tmp_path_factory.mktemp("page")
    audit = {"n_training": 0, "n_test": 24, "n_left_out": 0, "warning": "", "warnings": []}
    audit["losses"] = {"train_loss": list(np.linspace(0.7, 0.5, 20))}
    with ResultStore(out / "s.sqlite") as store:
        for study in ("first", "second", "third"):
            for target in ("arousal", "valence"):
                for protocol in ("subject", "stimulus"):
                    about = {"study": study, "target": target, "protocol": protocol}
                    for name in PIPELINES:
                        key = "/".join([*about.values(), name])
                        add_fold(store, key, pipeline=name, audit=audit, **about)
    write_report(out / "s.sqlite", out)
    return out / "report.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Browser:
    with Browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.mark.parametrize("width", [390, 1280, 1920])
def test_no_reader_scrolls_17_000_pixels(page, browser, width):
    browser.open(page, width)
    assert browser.evaluate(HEIGHT) < 17_000
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    browser.evaluate(OPEN_ALL)
    assert browser.evaluate(HEIGHT) > 17_000  # the rest is there, and folded
    assert browser.evaluate("document.documentElement.scrollWidth") <= width


def test_wide_tables_scroll_on_a_phone_and_keep_their_first_column(page, browser):
    browser.open(page, 390)
    browser.evaluate(OPEN_ALL)
    wide = browser.evaluate(
        "[...document.querySelectorAll('.scroll')].filter(t => t.scrollWidth > t.clientWidth)"
        ".map(t => { t.scrollLeft = 1e6;"
        "const first = t.querySelector('tbody th').getBoundingClientRect().left;"
        "return [t.scrollLeft, first - t.getBoundingClientRect().left]; })"
    )
    assert len(wide) > 12
    assert all(scrolled > 0 and abs(first) < 1 for scrolled, first in wide)


def test_the_contents_collapse_and_lead_into_folded_parts(page, browser):
    browser.open(page, 390)
    contents = "document.querySelector('nav details')"
    assert browser.evaluate(f"{contents}.open") is False
    closed = browser.evaluate("document.querySelector('nav').offsetHeight")
    assert closed < 80
    browser.evaluate("document.querySelector('nav summary').click()")
    titles = browser.evaluate("[...document.querySelectorAll('nav a')].map(a => a.textContent)")
    assert titles == [title for tag, title in Page(page).headings if tag == "h2"]
    part = "document.querySelector('#part-8').parentNode"
    assert browser.evaluate(f"{part}.open") is False
    browser.evaluate("document.querySelector('nav a[href=\"#part-8\"]').click()")
    browser.evaluate("new Promise(done => setTimeout(done, 300))")
    assert browser.evaluate(f"{part}.open") is True
    top = browser.evaluate("document.querySelector('#part-8').getBoundingClientRect().top")
    assert 0 < top < 800
    # The contents stay in view.
    assert browser.evaluate("document.querySelector('nav').getBoundingClientRect().top") == 0


def test_the_methods_are_copied_by_one_click(page, browser):
    browser.open(page)
    browser.send("Browser.grantPermissions", permissions=["clipboardReadWrite"])
    browser.evaluate("document.querySelector('.paste button').click()")
    assert browser.evaluate("document.querySelector('.paste button').textContent") == "Copied"
    copied = browser.evaluate("navigator.clipboard.readText()")
    paragraphs = browser.evaluate(
        "[...document.querySelectorAll('.paste p')].map(p => p.textContent)"
    )
    assert len(paragraphs) == 5
    assert [line for line in copied.splitlines() if line] == paragraphs


def test_the_page_works_without_scripts_and_runs_only_its_own(page, browser):
    browser.open(page)
    added = (
        "const added = document.createElement('script'); added.textContent = 'window.ran = true';"
        "document.body.append(added); window.ran === true"
    )
    assert browser.evaluate(added) is False
    browser.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(page)
        assert browser.evaluate("document.querySelectorAll('.paste button').length") == 0
        assert browser.evaluate("document.querySelectorAll('.paste p').length") == 5
    finally:
        browser.send("Emulation.setScriptExecutionDisabled", value=False)


def test_no_row_is_cut_in_print(page, browser, tmp_path):
    browser.open(page)
    browser.print(tmp_path / "report.pdf")
    pages = [_squeeze(one.extract_text()) for one in PdfReader(tmp_path / "report.pdf").pages]
    everything = "".join(pages)
    rows = [
        _squeeze("".join(row))
        for table in Page(page).tables.values()
        for row in table[1:]
        if len(row) > 4
    ]
    assert len(rows) > 300
    cut = [row for row in rows if not any(row in one for one in pages)]
    assert cut == []
    for _, title in Page(page).headings:
        assert _squeeze(title) in everything  # folded parts are printed, too


def test_nothing_is_wider_than_the_printed_page(page, browser):
    browser.open(page, A4)
    browser.send("Emulation.setEmulatedMedia", media="print")
    try:
        assert browser.evaluate("document.documentElement.scrollWidth") <= A4
        wide = browser.evaluate(
            "[...document.querySelectorAll('table, img, pre')]"
            ".filter(one => one.getBoundingClientRect().right > innerWidth)"
            ".map(one => one.textContent.slice(0, 60))"
        )
        assert wide == []
    finally:
        browser.send("Emulation.setEmulatedMedia", media="")


def _squeeze(text: str) -> str:
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text))  # ligatures become letters
