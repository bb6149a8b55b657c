"""Small files of the layouts of public logs, and what the recipes of datasets/ make of them."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

DATASETS = Path(__file__).parents[1] / "datasets"


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
