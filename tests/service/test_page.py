"""The page for people works in a browser, by keyboard, on a phone and in the dark."""

import re
import shutil
import time
from collections.abc import Iterator

import polars as pl
import pytest
from served import served

import gru4rec as g4r

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

BROWSERS = map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
CHROMIUM, CHROMEDRIVER = next(filter(None, BROWSERS), None), shutil.which("chromedriver")
missing = pytest.mark.skipif(not (CHROMIUM and CHROMEDRIVER), reason="no Chromium or chromedriver")
pytestmark = [pytest.mark.process, missing]
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def url(trained: g4r.GRU4Rec, log: pl.DataFrame, tmp_path_factory) -> Iterator[str]:
    """The address of a service of a tiny model, in a process of its own."""
    folder = tmp_path_factory.mktemp("service")
    model, table = folder / "model", folder / "items.parquet"
    trained.save(model)
    ids = log["item_id"].value_counts(sort=True)["item_id"].to_list()
    titles = [HOSTILE, "W" * 200, None, *(f"Red shoe n{n:02}" for n in range(len(ids) - 3))]
    images = ["/page.css" if n % 2 else None for n in range(len(ids))]  # which is no picture
    pl.DataFrame({"item_id": ids, "title": titles, "image": images}).write_parquet(table)
    with served(model, "--items-table", str(table)) as service:
        yield service.address


@pytest.fixture(scope="module")
def driver():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(CHROMEDRIVER)) as driver:
        yield driver


class Page:
    """What a person sees and does."""

    def __init__(self, driver) -> None:
        self.driver, self.run, self.say = driver, driver.execute_script, driver.execute_cdp_cmd

    def texts(self, where: str) -> list[str]:
        return self.run(f"return [...document.querySelectorAll('{where}')].map(x => x.innerText)")

    def wait(self, where: str, number: int, pattern: str = "") -> list[str]:
        """The texts of the elements, once there are so many and one has the pattern."""
        end = time.monotonic() + 30
        while len(texts := self.texts(where)) != number or not re.search(pattern, "".join(texts)):
            assert time.monotonic() < end, (where, texts, self.texts("#alert"))
            time.sleep(0.05)
        return texts

    def press(self, *keys: str) -> None:
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def tab_to(self, where: str, *keys: str) -> None:
        """Press Tab until the focus is there, which is seen wherever it stops; then the keys."""
        for _ in range(150):
            self.press(webdriver.Keys.TAB)
            focus = self.driver.switch_to.active_element
            assert focus.tag_name == "body" or "none" not in focus.value_of_css_property("outline")
            if self.run(f"return document.activeElement.matches('{where}')"):
                return self.press(*keys)
        raise AssertionError(f"Tab does not reach {where}")

    def click_first(self, *texts: str) -> None:
        """In a new session search for each, press Enter, and see the click in the history."""
        for clicks, text in enumerate(texts, start=1):
            self.run("document.getElementById('search').value = ''; search.focus()")
            self.press(text, webdriver.Keys.ENTER)
            self.wait("#history > li", clicks)

    def open_similar(self) -> None:
        self.run("document.querySelector('#cards .quiet').click()")
        self.wait("dialog[open] li", 8)


@pytest.fixture
def page(url: str, driver) -> Page:
    """The page as it is first seen, in a wide window."""
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    driver.get(url)
    driver.execute_script("sessionStorage.clear()")
    driver.refresh()
    driver.get_log("browser")
    page = Page(driver)
    page.wait("#cards > li", 12)
    page.wait("#results > li", 20)
    return page


def test_enter_in_the_search_clicks_the_first_result_and_next_items_appear(page):
    page.tab_to("#search", "n07")
    page.wait("#results > li", 1, "Red shoe n07")
    page.press(webdriver.Keys.ENTER)
    page.wait("#history > li", 1, "Red shoe n07")
    page.wait("#said", 1, r"You clicked Red shoe n07\. 12 items from the model")
    assert [text.split()[0] for text in page.texts("#cards > li")] == [*map(str, range(1, 13))]


def test_each_click_is_explained(page):
    page.click_first("n01", "n02", "n03")
    why = page.wait("#why > li", 3)
    assert [text.split("\n")[0] for text in why] == [f"{n}. Red shoe n0{n}" for n in (1, 2, 3)]
    assert all(re.search(r"[+−]\d.*\n.*moved \d", text) for text in why)


def test_titles_are_shown_as_text(page):
    page.click_first("onerror")
    for place in ("#results > li", "#history > li", "#said", "#why > li"):
        page.wait(place, 1, re.escape(HOSTILE))
    assert page.run("return document.querySelectorAll('[onerror], img[src=x]').length") == 0


def test_keys_alone_do_it_all(page):
    keys = webdriver.Keys
    page.tab_to("#search", "red n1")
    second = page.wait("#results > li", 10)[1]
    page.tab_to("#results button", keys.ARROW_DOWN, keys.ENTER)
    page.wait("#history > li", 1, re.search(r"Red shoe n\d+", second)[0])
    page.tab_to("#cards .pick", keys.ENTER)
    page.wait("#history > li", 2)
    page.tab_to("#cards .quiet", keys.ENTER)
    page.wait("dialog[open] li", 8)
    page.press(keys.ESCAPE)
    page.wait("dialog[open]", 0)
    page.tab_to("#new", keys.SPACE)
    page.wait("#history > li", 0)


@pytest.mark.parametrize("width", [360, 390, 800])
def test_nothing_is_wider_than_the_window(page, width):
    size = {"width": width, "height": 740, "deviceScaleFactor": 1, "mobile": False}
    page.say("Emulation.setDeviceMetricsOverride", size)
    page.click_first("WWW", "onerror", "shoe")
    page.run("for (const one of document.querySelectorAll('details')) one.open = true")
    page.open_similar()
    assert page.run("return document.documentElement.scrollWidth") <= width


def test_it_is_dark_where_the_system_is(page):
    for scheme, least, most in (("light", 600, 765), ("dark", 0, 150)):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        page.say("Emulation.setEmulatedMedia", {"features": features})
        colour = page.run("return getComputedStyle(document.body).backgroundColor")
        assert least <= sum(map(int, re.findall(r"\d+", colour))) <= most


def test_a_new_session_has_no_clicks_and_the_old_one_is_gone(page):
    (old,) = page.texts("#session")
    page.click_first("n05")
    page.driver.refresh()
    page.wait("#history > li", 1, "n05")
    page.driver.find_element("id", "new").click()
    page.wait("#history > li", 0)
    page.wait("#said", 1, "^12 items that are popular")
    assert page.texts("#session") != [old]
    assert page.run(f"return fetch('sessions/{old}').then(answer => answer.status)") == 404


def test_an_error_is_a_line_and_the_page_goes_on(page):
    page.say("Network.enable", {})
    page.say("Network.setBlockedURLs", {"urls": ["*/similar*"]})
    page.run("document.querySelector('#cards .quiet').click()")
    page.wait("[role=alert]", 1, "cannot be reached")
    page.say("Network.setBlockedURLs", {"urls": []})
    page.open_similar()
    page.wait("[role=alert]", 1, "^$")


def test_a_whole_visit_leaves_the_console_empty(page):
    page.click_first("n01", "onerror", "WWW")
    page.open_similar()
    page.driver.find_element("css selector", "dialog[open] li button").click()
    page.wait("#history > li", 4)
    page.wait("#model dd", 5)
    assert page.driver.get_log("browser") == []


def test_a_browser_is_asked_for_the_token_as_a_password(trained, tmp_path, driver):
    trained.save(tmp_path / "model")
    (tmp_path / "token").write_text("secret")
    with served(tmp_path / "model", "--token-file", str(tmp_path / "token")) as service:
        driver.get(service.address.replace("://", "://anybody:secret@"))
        driver.get(service.address)  # by what the browser knows now
        page = Page(driver)
        page.wait("#results > li", 20)
        assert page.texts("#alert") == [""]
        driver.get_log("browser")
