"""The recipes of datasets/ read small files of their logs' layout, and do what they say."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from gru4rec import Recipe, prepare

DATASETS = Path(__file__).parents[2] / "datasets"


def visits(first: str, *, days_apart: int = 1) -> Iterator[tuple[int, int, datetime]]:
    """(session, item, time): ten sessions on each of ten days, of four clicks a minute apart.

    Those of a day start at 20:30, 20:40, … 22:00. The second click repeats the first, so that three
    are left without repeats; each of five items has enough clicks for any rule.
    """
    for day in range(10):
        for number in range(10):
            start = datetime.fromisoformat(first).replace(tzinfo=UTC)
            start += timedelta(days=day * days_apart, hours=20.5, minutes=10 * number)
            for step in range(4):
                item = (number + max(0, step - 1)) % 5
                yield day * 10 + number, item, start + timedelta(minutes=step)


def ms(time: datetime) -> int:
    return int(time.timestamp() * 1000)


def write(path: Path, rows: list[str], *, header: str | None = None) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([header, *rows] if header else rows) + "\n")
    return path


def yoochoose(folder: Path) -> list[Path]:
    rows = [f"{s},{time:%Y-%m-%dT%H:%M:%S}.500Z,{i},S" for s, i, time in visits("2014-09-01")]
    return [write(folder / "yoochoose-clicks.dat", rows)]


def both_yoochoose(folder: Path) -> list[Path]:
    rows = yoochoose(folder)[0].read_text().splitlines()
    return [
        write(folder / "yoochoose-clicks.dat", rows[:300]),
        write(folder / "yoochoose-test.dat", rows[300:]),
    ]


def retailrocket(folder: Path) -> list[Path]:
    """Besides views, a cart half an hour after visitor 0's last view, a view forty minutes on.

    Over an hour after the last view, the late view belongs to its session by the cart only.
    """
    rows = [f"{ms(time)},{s},view,{i}," for s, i, time in visits("2015-09-02")]
    last = ms(datetime(2015, 9, 2, 20, 33, tzinfo=UTC))
    rows += [f"{last + 1_800_000},0,addtocart,2,", f"{last + 4_200_000},0,view,4,"]
    header = "timestamp,visitorid,event,itemid,transactionid"
    return [write(folder / "events.csv", rows, header=header)]


def diginetica(folder: Path) -> list[Path]:
    rows = [
        f"{s};NA;{i};{60_000 * (n % 4)};{time:%Y-%m-%d}"
        for n, (s, i, time) in enumerate(visits("2016-03-01", days_apart=3))
    ]
    header = "sessionId;userId;itemId;timeframe;eventdate"
    return [write(folder / "train-item-views.csv", rows, header=header)]


def otto(folder: Path) -> list[Path]:
    """Each session's last click is followed by a cart."""
    sessions: dict[int, list[dict[str, object]]] = {}
    for s, i, time in visits("2022-08-01"):
        sessions.setdefault(s, []).append({"aid": i, "ts": ms(time), "type": "clicks"})
    for events in sessions.values():
        events.append({**events[-1], "type": "carts"})
    rows = [json.dumps({"session": s, "events": events}) for s, events in sessions.items()]
    return [write(folder / "otto-recsys-train.jsonl", rows)]


def rees46(folder: Path) -> list[Path]:
    """The first row of all is no view; the session ids are worthless."""
    rows = [
        f"{time:%Y-%m-%d %H:%M:%S} UTC,view,{i},20530{i},electronics.phone,,{i}.99,{s},same"
        for s, i, time in visits("2019-11-21")
    ]
    rows[0] = rows[0].replace(",view,", ",cart,")
    header = (
        "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,"
        "user_session"
    )
    return [
        write(folder / "2019-Oct.csv", rows[:200], header=header),
        write(folder / "2019-Nov.csv", rows[200:], header=header),
    ]


def globo(folder: Path) -> list[Path]:
    """An hour without clicks, then ten files."""
    rows = [
        f"{s},{s},{ms(time)},4,{i},{ms(time)},4,1,17,1,25,2" for s, i, time in visits("2017-10-07")
    ]
    header = (
        "user_id,session_id,session_start,session_size,click_article_id,click_timestamp,"
        "click_environment,click_deviceGroup,click_os,click_country,click_region,"
        "click_referrer_type"
    )
    for hour in range(11):
        some = rows[40 * (hour - 1) : 40 * hour] if hour else []
        write(folder / "clicks" / f"clicks_hour_{hour:03d}.csv", some, header=header)
    return [folder / "clicks"]


# recipe: (files, rows read, clicks after the rules, sessions of train, valid and test).
# "1d" before the last click, at 22:03 on day 10, cuts at 22:03 on day 9, while that day's last
# session ends: it is left out, or with split_by "end" in test; the same again for valid.
EXPECTED: dict[str, tuple[Callable[[Path], list[Path]], int, int, tuple[int, int, int]]] = {
    "rsc15": (yoochoose, 400, 400, (78, 11, 11)),
    "yoochoose": (both_yoochoose, 400, 300, (78, 10, 10)),
    "retailrocket": (retailrocket, 402, 301, (20, 70, 10)),
    "diginetica": (diginetica, 400, 300, (40, 30, 30)),
    "otto": (otto, 500, 400, (68, 10, 20)),
    "rees46": (rees46, 400, 300, (80, 10, 10)),
    "globo": (globo, 400, 400, (93, 6, 1)),
}


def test_every_recipe_is_tried_here() -> None:
    assert {path.stem for path in DATASETS.glob("*.toml")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recipe_reads_its_log_and_splits_it_as_it_says(name: str, tmp_path: Path) -> None:
    writer, read, kept, sessions = EXPECTED[name]
    recipe = Recipe.from_toml(DATASETS / f"{name}.toml")
    card = prepare(writer(tmp_path), tmp_path / "out", recipe)
    assert card["rows"] == {"read": read, "invalid": {}}
    assert card["rules"][-1]["clicks"] == kept
    assert tuple(card["parts"][part]["sessions"] for part in card["parts"]) == sessions
    assert card["parts"]["train"]["items"] == 5


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recipe_says_where_its_log_comes_from(name: str) -> None:
    about = Recipe.from_toml(DATASETS / f"{name}.toml").about
    assert all([about.name, about.home, about.licence, about.citation, about.files])


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recipe_compares_its_published_counts(name: str, tmp_path: Path) -> None:
    writer, read, _, _ = EXPECTED[name]
    recipe = Recipe.from_toml(DATASETS / f"{name}.toml")
    card = prepare(writer(tmp_path), tmp_path / "out", recipe)
    first = card["published"][0]
    assert first == {
        "of": "read", "what": "clicks", "found": read, "published": recipe.published.read.clicks,
    }  # fmt: skip


def test_retailrocket_ends_visits_by_the_gaps_between_all_events(tmp_path: Path) -> None:
    recipe = Recipe.from_toml(DATASETS / "retailrocket.toml")
    prepare(retailrocket(tmp_path), tmp_path / "out", recipe)
    train = pl.read_parquet(tmp_path / "out" / "train.parquet")
    assert train.filter(pl.col("session_id") == "0-1")["item_id"].to_list() == [0, 1, 2, 4]


def test_diginetica_counts_time_from_the_date_of_the_session(tmp_path: Path) -> None:
    recipe = Recipe.from_toml(DATASETS / "diginetica.toml")
    prepare(diginetica(tmp_path), tmp_path / "out", recipe)
    train = pl.read_parquet(tmp_path / "out" / "train.parquet")
    assert train["timestamp"][:3].to_list() == [
        datetime(2016, 3, 1, 0, minute) for minute in (0, 2, 3)
    ]


def test_otto_keeps_clicks_only(tmp_path: Path) -> None:
    recipe = Recipe.from_toml(DATASETS / "otto.toml")
    prepare(otto(tmp_path), tmp_path / "out", recipe)
    assert set(pl.read_parquet(tmp_path / "out" / "test.parquet")["type"]) == {"clicks"}
