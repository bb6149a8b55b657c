"""The report: one page that needs nothing else, with every section, and in a real browser."""

import base64
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import polars as pl
import polars.testing
import pytest
from toys import TINY, clicks_of

import gru4rec as g4r
from gru4rec.evaluation import plots
from gru4rec.evaluation.report import KS, html_page, report_needs, rows_asked_for

ASKED = {"ks": [5], "metrics": ["recall"], "by": [], "against": None, "intervals": True}


@pytest.fixture(scope="module")
def page() -> str:
    train, test = g4r.split_last(g4r.generate_clicks(sessions=400, items=40, seed=1), "25%")
    config = g4r.Config().replace(TINY)
    trained = g4r.GRU4Rec(config, device="cpu").fit(train, valid=test)
    fusion = g4r.Fusion([trained, g4r.VSTAN().fit(train)])
    peers = {"fusion": fusion, "<b>gru</b>": trained, "sr": g4r.SequentialRules().fit(train)}
    clicks = test.collect()
    table = g4r.evaluate(peers, clicks, **report_needs(**ASKED, first="fusion"))
    return html_page(table, peers, clicks)


class _Tags(HTMLParser):
    """Opened tags that must be closed, and where anything would be loaded from."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.headings: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "link", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


def test_the_page_is_whole_and_loads_nothing(page):
    tags = _Tags()
    tags.feed(page)
    assert tags.open == []
    assert tags.headings == [
        "Comparison", "By cut-off", "By slice", "Why: one session", "Training", "Data", "Settings",
        "Made with",
    ]  # fmt: skip
    assert all(source.startswith("data:") for source in tags.sources)
    assert "<script" not in page


def test_every_picture_is_sound_svg_with_its_numbers(page):
    pictures = re.findall(r"data:image/svg\+xml;base64,([^\"]+)", page)
    # comparison, curves, three slices, a session, and the training of GRU4Rec alone and as a part
    assert len(pictures) == 8
    for picture in pictures:
        ElementTree.fromstring(base64.b64decode(picture))
    text = base64.b64decode(pictures[1]).decode()
    assert all(f">{k}<" in text for k in KS)
    assert "NDCG@k" in text


def test_differences_are_to_the_recommender_that_was_asked_for(log):
    peers = {"sr": g4r.SequentialRules().fit(log), "popularity": g4r.Popularity().fit(log)}
    asked = {**ASKED, "against": "popularity"}
    table = g4r.evaluate(peers, log, **report_needs(**asked, first="sr"))
    page = html_page(table, peers, log, against="popularity")
    assert "differences are to popularity" in page
    assert re.search(r"<td>sr</td><td>[^<]+</td><td>\+", page)
    assert re.search(r"<td>popularity</td><td>[^<]+</td><td></td>", page)


def test_ids_of_another_type_and_with_dollar_signs_are_shown(log):
    sessions = [[f"$\\frac{n}$" for n in range(m, m + 5)] for m in range(6)]
    for train, test in (
        (clicks_of(sessions), clicks_of(sessions)),
        (clicks_of([[1, 2, 3, 4, 5]]), clicks_of([["1", "2", "3", "4", "5"]])),
    ):
        peers = {"$a$ $\\frac$": g4r.SequentialRules().fit(train)}
        table = g4r.evaluate(peers, test, **report_needs(**ASKED, first="$a$ $\\frac$"))
        assert "Why: one session" in html_page(table, peers, test)


def test_an_interval_that_rounding_puts_beside_its_value_is_drawn():
    rows = {"value": [0.1], "low": [0.1 + 1e-17], "high": [0.1 - 1e-17]}
    rows["low"][0], rows["high"][0] = np.nextafter(0.1, 1), np.nextafter(0.1, 0)
    values, errors = plots._with_errors(pl.DataFrame(rows))
    assert values.tolist() == [0.1]
    assert errors == [[0.0], [0.0]]


def test_names_are_escaped(page):
    assert "<b>gru</b>" not in page
    assert "&lt;b&gt;gru&lt;/b&gt;" in page


def test_the_figures_are_those_of_the_evaluation(page):
    assert re.search(r"<td>sr</td><td>0\.\d{4}\n0\.\d{4} to 0\.\d{4}</td><td>[+-]", page)
    assert "training.epochs" in page


@pytest.mark.parametrize(
    "asked",
    [
        ASKED,
        {**ASKED, "ks": [1, 7], "metrics": ["mrr", "tie_rate", "coverage"], "intervals": False},
        {**ASKED, "by": ["support"], "against": "sr"},
    ],
)
def test_what_was_asked_for_is_printed_as_without_a_report(asked, log):
    peers = {"sr": g4r.SequentialRules().fit(log), "popularity": g4r.Popularity().fit(log)}
    table = g4r.evaluate(peers, log, **report_needs(**asked, first="sr"))
    expected = g4r.evaluate(peers, log, **asked)
    polars.testing.assert_frame_equal(rows_asked_for(table, **asked), expected, check_exact=False)


def test_without_matplotlib_it_says_what_to_install(log, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    peers = {"popularity": g4r.Popularity().fit(log)}
    table = g4r.evaluate(peers, log, **report_needs(**ASKED, first="popularity"))
    with pytest.raises(g4r.MissingExtraError, match=r"pip install 'gru4rec\[report\]'"):
        html_page(table, peers, log)


@pytest.mark.slow
def test_a_browser_shows_it_without_an_error(page, tmp_path):
    names = ("chromium", "chromium-browser", "chrome")
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        pytest.skip("no Chromium is installed: this test needs one")

    def show(script: str) -> subprocess.CompletedProcess[str]:
        shown = page.replace("</body>", f"<script>{script}</script></body>")
        (tmp_path / "page.html").write_text(shown, encoding="utf-8")
        command = [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--dump-dom",
            (tmp_path / "page.html").as_uri(),
        ]  # fmt: skip
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)

    # The page itself tells whether its pictures were drawn.
    drawn = "[...document.images].every(image => image.naturalWidth > 100)"
    shown = show(f"onload = () => {{ document.title = {drawn} ? 'drawn' : 'not drawn' }}")
    assert "<title>drawn</title>" in shown.stdout
    assert "CONSOLE" not in shown.stderr
    assert "CONSOLE" in show("no.such.thing()").stderr  # so an error would be seen
