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
from gru4rec.evaluation.report import KS, evaluate_with_page
from gru4rec.evaluation.slices import OF_ANY_LOG


@pytest.fixture(scope="module")
def page() -> str:
    train, test = g4r.split_last(g4r.generate_clicks(sessions=400, items=40, seed=1), "25%")
    config = g4r.Config().replace(TINY)
    trained = g4r.GRU4Rec(config, device="cpu").fit(train, valid=test)
    fusion = g4r.Fusion([trained, g4r.VSTAN().fit(train)])
    peers = {"fusion": fusion, "<b>gru</b>": trained, "sr": g4r.SequentialRules().fit(train)}
    return evaluate_with_page(peers, test)[1]


def row_of(page: str, name: str) -> list[tuple[str, str]]:
    """(class, content) of each figure of a recommender in the comparison."""
    (row,) = re.findall(rf"<tr><td>{re.escape(name)}</td>(<td class=.*)</tr>", page)
    return re.findall(r'<td class="number (\w*)">(.*?)</td>', row)


def cells_of(page: str, name: str) -> list[str]:
    """The text of each figure of a recommender in the comparison."""
    return [re.sub("<[^>]+>", "", content) for _, content in row_of(page, name)]


def kinds_of(page: str, name: str) -> list[str]:
    """How each figure of a recommender is marked."""
    return [kind for kind, _ in row_of(page, name)]


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
    # two of the comparison, three curves, two of each slice, and three of the training of GRU4Rec
    # alone and as a part
    assert len(pictures) == 2 + 3 + 2 * len(OF_ANY_LOG) + 2 * 3
    for picture in pictures:
        ElementTree.fromstring(base64.b64decode(picture))
    for picture, name in zip(pictures[2:5], ("Recall", "MRR", "NDCG"), strict=True):
        text = base64.b64decode(picture).decode()
        assert all(f">{k}<" in text for k in KS)
        assert f"{name}@k" in text


def test_each_click_of_a_session_has_a_bar_for_what_it_did(page):
    section = page[page.index("Why: one session") : page.index("<h2>Training")]
    assert re.findall(r'<th class="over">(\w+)</th>', section) == [
        "influence", "change", "reset", "update",
    ]  # fmt: skip
    shares = [int(share) for share in re.findall(r"--share: (\d+)%", section)]
    columns = [shares[number::4] for number in range(4)]
    assert 4 <= len(columns[0]) <= 8
    assert all(max(column) == 100 and min(column) >= 0 for column in columns)


def test_differences_are_to_the_recommender_that_was_asked_for(log):
    peers = {"sr": g4r.SequentialRules().fit(log), "popularity": g4r.Popularity().fit(log)}
    _, page = evaluate_with_page(peers, log, against="popularity")
    assert "differences are to popularity" in page
    assert cells_of(page, "sr")[1].startswith("+")
    assert cells_of(page, "popularity")[1] == ""


def test_ids_of_another_type_and_with_dollar_signs_are_shown(log):
    sessions = [[f"$\\frac{n}$" for n in range(m, m + 5)] for m in range(6)]
    for train, test in (
        (clicks_of(sessions), clicks_of(sessions)),
        (clicks_of([[1, 2, 3, 4, 5]]), clicks_of([["1", "2", "3", "4", "5"]])),
    ):
        peers = {"$a$ $\\frac$": g4r.SequentialRules().fit(train)}
        assert "Why: one session" in evaluate_with_page(peers, test)[1]


def test_an_interval_that_rounding_puts_beside_its_value_is_drawn():
    rows = {"value": [0.1], "low": [0.1 + 1e-17], "high": [0.1 - 1e-17]}
    rows["low"][0], rows["high"][0] = np.nextafter(0.1, 1), np.nextafter(0.1, 0)
    values, errors = plots._with_errors(pl.DataFrame(rows))
    assert values.tolist() == [0.1]
    assert errors == [[0.0], [0.0]]


def test_names_are_escaped(page):
    assert "<b>gru</b>" not in page
    assert "&lt;b&gt;gru&lt;/b&gt;" in page


def test_markup_in_ids_of_items_and_sessions_is_escaped():
    mark = "<img src=x onerror='alert(1)'>"
    items = [f"{mark}&{n}" for n in range(5)]
    log = clicks_of([items] * 3).with_columns(
        pl.col("session_id").cast(pl.String).str.replace("^", mark)
    )
    _, page = evaluate_with_page({mark: g4r.SequentialRules().fit(log)}, log)
    assert mark not in page
    assert page.count("&lt;img src=x onerror=&#39;alert(1)&#39;&gt;") >= 5 + 1 + 1
    assert "&amp;4" in page


def test_a_picture_is_sound_svg_whatever_character_a_name_has(log):
    for picture in plots.comparison(
        evaluate_with_page({"a\x00b\x1b\ufffe": g4r.Popularity().fit(log)}, log)[0], k=20
    ):
        assert "a\ufffdb\ufffd\ufffd" in "".join(ElementTree.fromstring(picture).itertext())


def test_the_figures_are_those_of_the_evaluation(log):
    peers = {"sr": g4r.SequentialRules().fit(log), "popularity": g4r.Popularity().fit(log)}
    table, page = evaluate_with_page(peers, log, ks=[20], against="sr")
    for name in peers:
        row = table.filter(recommender=name, metric="recall").row(0, named=True)
        recall, difference, *_ = cells_of(page, name)
        assert recall == f"{row['value']:.4f} {row['low']:.4f} to {row['high']:.4f}"
        if name != "sr":
            assert difference.startswith(f"{row['difference']:+.4f} ")


def test_the_best_figure_is_marked_and_a_difference_that_is_not_sure_is_grey(log):
    peers = {"sr": g4r.SequentialRules().fit(log), "popularity": g4r.Popularity().fit(log)}
    _, page = evaluate_with_page({**peers, "again": g4r.SequentialRules().fit(log)}, log)
    assert kinds_of(page, "sr")[0] == "best"
    assert kinds_of(page, "popularity")[:2] == ["", ""]
    assert kinds_of(page, "again")[:2] == ["best", "unsure"]


def test_settings_are_listed(page):
    assert "training.epochs" in page


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"ks": [5], "metrics": ["recall"]},
        {"ks": [1, 7], "metrics": ["mrr", "tie_rate", "coverage"], "intervals": False},
        {"ks": [5], "metrics": ["recall"], "by": ["support"], "against": "sr"},
    ],
)
def test_the_table_is_the_one_without_a_page(asked, log):
    peers = {"sr": g4r.SequentialRules().fit(log), "popularity": g4r.Popularity().fit(log)}
    table, _ = evaluate_with_page(peers, log, **asked)
    polars.testing.assert_frame_equal(table, g4r.evaluate(peers, log, **asked), check_exact=False)


@pytest.mark.parametrize("package", ["matplotlib", "jinja2"])
def test_without_a_package_of_the_extra_it_says_what_to_install(log, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(g4r.MissingExtraError, match=r"pip install 'gru4rec\[report\]'"):
        evaluate_with_page({"popularity": g4r.Popularity().fit(log)}, log)


def test_without_recommenders_it_refuses_as_evaluate_does(log):
    with pytest.raises(g4r.DataError, match="at least one recommender"):
        evaluate_with_page({}, log)


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
