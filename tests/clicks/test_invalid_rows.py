"""Logs as they come: each bad row is named and refused, or dropped and counted, and no other."""

import gzip
import json
import logging
import re
import subprocess
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner, Result
from polars.testing import assert_frame_equal
from toys import TINY

import gru4rec
from gru4rec.cli import main

# 20 sessions of three clicks, one a minute from noon on 2026-03-02. Two rows are spoilt.
NOON, ROWS, BAD = 1_772_452_800, 60, (7, 20)
SECONDS = [NOON + 60 * n for n in range(ROWS)]
SESSIONS, ITEMS = [n // 3 for n in range(ROWS)], [f"i{n % 5}" for n in range(ROWS)]
LOG = pl.DataFrame({"session_id": SESSIONS, "timestamp": SECONDS, "item_id": ITEMS})
CLICKS = LOG.select("session_id", "item_id", pl.from_epoch("timestamp").cast(pl.Datetime("us")))
GOOD = CLICKS[[n - 1 for n in range(1, ROWS + 1) if n not in BAD]]
HEADER = "session_id,timestamp,item_id"
Y2200 = 7_258_118_400  # the seconds of 2200-01-01
GREATEST = 2**63 - 1

Bad = tuple[Path, str]
Logged = pytest.LogCaptureFixture


@pytest.fixture(autouse=True)
def messages(caplog: Logged, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package's messages reach caplog, and its logger is left as it was."""
    monkeypatch.setattr(logging.getLogger("gru4rec"), "handlers", [])
    monkeypatch.setattr(logging.getLogger("gru4rec"), "propagate", True)
    caplog.set_level(logging.INFO, logger="gru4rec")


def refusal(source: object, **options: Any) -> str:
    """The one line with which `read_clicks` refuses a log."""
    with pytest.raises(gru4rec.DataError) as refused:
        gru4rec.read_clicks(source, **options).collect()  # type: ignore[arg-type]
    message = str(refused.value)
    assert message.splitlines() == [message]
    return message


def prepare(*arguments: object) -> Result:
    """`gru4rec prepare`; an error that is a bug is raised as it is."""
    return CliRunner().invoke(main, ["prepare", *map(str, arguments)], catch_exceptions=False)


def prepare_refusal(folder: Path, *arguments: object) -> str:
    """The one line with which `prepare` refuses a log; nothing is written to `folder`."""
    before = sorted(folder.iterdir())
    result = prepare(*arguments, "-o", folder / "out")
    assert result.exit_code == 2, result.output
    lines = result.stderr.splitlines()
    assert [line for line in lines if line.startswith("Error: ")] == lines[-1:]
    assert not any(line.startswith(("Usage", "Traceback")) for line in lines)
    assert result.stdout == ""
    assert sorted(folder.iterdir()) == before
    return lines[-1]


def prepared(folder: Path, *arguments: object) -> tuple[dict[str, Any], pl.DataFrame]:
    """The card and the clicks of all parts that `prepare` writes."""
    result = prepare(*arguments, "-o", folder / "out")
    assert result.exit_code == 0, result.output
    card = json.loads((folder / "out" / "card.json").read_text())
    parts = [pl.read_parquet(folder / "out" / f"{part}.parquet") for part in card["parts"]]
    assert [part["clicks"] for part in card["parts"].values()] == [len(part) for part in parts]
    return card, pl.concat(parts)


def put(folder: Path, name: str, content: bytes) -> Path:
    """A file of that name and content."""
    (folder / name).write_bytes(content)
    return folder / name


def spoilt(good: Sequence[object], bad: object) -> pl.Series:
    """The values with `bad` in the bad rows."""
    return pl.Series([bad if n in BAD else value for n, value in enumerate(good, 1)])


def parquet(**columns: object) -> bytes:
    """The log as Parquet, with the columns given put in or over."""
    LOG.with_columns(**columns).write_parquet(file := BytesIO())  # type: ignore[arg-type]
    return file.getvalue()


def csv(bad: str = "{},{},{}", times: Sequence[object] = SECONDS, code: str = "utf-8") -> bytes:
    """The log as CSV; in the bad rows is `bad` of session, time and item."""
    rows = enumerate(zip(SESSIONS, times, ITEMS, strict=True), 1)
    lines = [(bad if n in BAD else "{},{},{}").format(*row) for n, row in rows]
    return "\n".join([HEADER, *lines, ""]).encode(code)


def numbers(bad: float | None, unit: float = 1) -> bytes:
    """The log as Parquet with times of that many a second, in the type of `unit`."""
    return parquet(timestamp=spoilt([second * unit for second in SECONDS], bad))


def datetimes(bad: int, unit: Any = "us") -> bytes:
    """The log as Parquet with Datetimes; in the bad rows so many units since 1970."""
    per_second = {"ms": 10**3, "us": 10**6}[unit]
    times = spoilt([second * per_second for second in SECONDS], bad)
    return parquet(timestamp=times.cast(pl.Datetime(unit)))


ISO = CLICKS["timestamp"].dt.to_string("%Y-%m-%dT%H:%M:%SZ").to_list()
BAD_IDS: dict[str, tuple[bytes, str]] = {
    "null sessions": (parquet(session_id=spoilt(SESSIONS, None)), "null or empty session_id"),
    "null items": (parquet(item_id=spoilt(ITEMS, None)), "null or empty item_id"),
    "empty items": (parquet(item_id=spoilt(ITEMS, "")), "null or empty item_id"),
    "empty session fields": (csv(",{1},{2}"), "null or empty session_id"),
    "empty item fields": (csv("{0},{1},"), "null or empty item_id"),
    "among blank lines": (csv("{0},{1},").replace(b"\n", b"\n\n"), "null or empty item_id"),
    "fewer fields": (csv("{0},{1}"), "null or empty item_id"),
    "more fields": (csv("{0},{1},{2},x,y"), "damaged lines"),
    "header again": (csv(HEADER), "damaged lines"),
    "header again after a BOM": (csv(f"\ufeff{HEADER}"), "damaged lines"),
    "Latin-1 items": (csv("{0},{1},caf\xe9", code="latin-1"), "item_id that is not UTF-8"),
    "Latin-1 sessions": (csv("\xe9{0},{1},{2}", code="latin-1"), "session_id that is not UTF-8"),
}
BAD_TIMES: dict[str, bytes] = {
    "null": numbers(None), "NaN": numbers(float("nan"), 1.0),
    "infinite": numbers(float("inf"), 1.0), "NaN as text": csv("{0},NaN,{2}"),
    "empty fields": csv("{0},,{2}"), "a word among numbers": csv("{0},NULL,{2}"),
    "a word among ISO": csv("{0},soon,{2}", ISO), "negative": numbers(-1),
    "negative as text": csv("{0},-1,{2}"), "negative float": numbers(-0.5, 1.0),
    "negative datetime": datetimes(-1), "1970 as integer": numbers(0),
    "1970 as text": csv("{0},0,{2}"), "1970 as float": numbers(0.0, 1.0),
    "1970 as datetime": datetimes(0), "1970 as ISO": csv("{0},1970-01-01T00:00:00Z,{2}", ISO),
    "2200 as integer": numbers(Y2200), "2200 as float": numbers(Y2200 + 0.5, 1.0),
    "2200 as datetime": datetimes(Y2200 * 10**6), "2200 as ISO": csv("{0},2200-01-01,{2}", ISO),
    "ms among s": numbers(NOON * 10**3), "ms among s as text": csv("{0},{1}000,{2}"),
    "ms among float s": numbers(NOON * 1e3, 1.0), "µs among s": numbers(NOON * 10**6),
    "s among ms": numbers(NOON, 10**3), "ms among µs": numbers(NOON * 10**3, 10**6),
    "sentinel among s": numbers(GREATEST), "sentinel among ms": numbers(GREATEST, 10**3),
    "sentinel among µs": numbers(GREATEST, 10**6), "sentinel among ns": numbers(GREATEST, 10**9),
    "sentinel as text": csv(f"{{0}},{GREATEST},{{2}}"),
    "sentinel as float": numbers(float(GREATEST), 1.0), "least integer": numbers(-GREATEST - 1),
    "sentinel as datetime": datetimes(GREATEST),
    "sentinel as datetime in ms": datetimes(GREATEST, "ms"),
}  # fmt: skip
CASES = BAD_IDS | {f"times: {name}": (content, "times") for name, content in BAD_TIMES.items()}


@pytest.fixture(params=CASES)
def bad(request: pytest.FixtureRequest, tmp_path: Path) -> Bad:
    """(a log with the rows 7 and 20 spoilt, what is said to be wrong with them)"""
    content, what = CASES[request.param]
    return put(tmp_path, "log.parquet" if content[:4] == b"PAR1" else "log.csv", content), what


def test_bad_rows_are_refused_and_the_first_is_named(bad: Bad) -> None:
    message = refusal(bad[0])
    assert re.match(rf"click log has .*{bad[1]}.* in 2 of 60 rows, first in row 7\b", message)
    assert "drop_invalid" in message


def test_bad_rows_are_dropped_and_no_others(bad: Bad, caplog: Logged) -> None:
    clicks = gru4rec.read_clicks(bad[0], drop_invalid=True).collect()
    words = bad[1] == "session_id that is not UTF-8"  # among the ids, so none of them is a number
    assert_frame_equal(clicks, GOOD.cast({"session_id": pl.String}) if words else GOOD)
    assert caplog.messages[-1] == "dropped 2 of 60 rows with invalid ids or times"


def test_prepare_refuses_bad_rows_and_writes_nothing(bad: Bad, tmp_path: Path) -> None:
    message = prepare_refusal(tmp_path, bad[0])
    assert re.match(rf"Error: .* has .*{bad[1]}.* in 2 of 60 rows, first in row 7\b", message)


def test_prepare_drops_bad_rows_and_counts_them(bad: Bad, tmp_path: Path) -> None:
    card, clicks = prepared(tmp_path, bad[0], "--drop-invalid")
    assert card["rows"]["read"] == 60
    ((what, count),) = card["rows"]["invalid"].items()
    assert bad[1] in what
    assert (count, card["split"]["left_out"]["clicks"]) == (2, 0)
    assert_frame_equal(clicks, GOOD.cast({"session_id": clicks.schema["session_id"]}))


def test_of_rows_bad_in_two_ways_the_first_is_named_and_both_are_counted(tmp_path: Path) -> None:
    lines = csv().decode().splitlines()
    lines[7], lines[20] = f"2,{SECONDS[6]},", HEADER
    path = put(tmp_path, "log.csv", "\n".join(lines).encode())
    card, clicks = prepared(tmp_path, path, "--drop-invalid")
    assert card["rows"]["invalid"] == {"damaged lines": 1, "null or empty item_id": 1}
    assert_frame_equal(clicks, GOOD)
    assert "first in row 7" in refusal(path)


@pytest.mark.parametrize(
    ("options", "by_rules", "left_out"),
    [
        ("", 0, 0),
        ("--max-session-clicks 2", 18, 0),  # two sessions have two clicks, the other 18 have three
        ("--min-session-clicks 3", 4, 0),
        ("--max-session-clicks 2 --min-item-clicks 2", 18, 0),
        ("--drop-repeats --test none", 0, 0),
        ("--valid none --test 2026-03-02T12:28", 0, 3),  # one session has the minutes 27, 28, 29
    ],
)
def test_rows_that_are_read_are_invalid_or_dropped_by_a_rule_or_left_out_or_in_a_part(
    options: str, by_rules: int, left_out: int, tmp_path: Path
) -> None:
    path = put(tmp_path, "log.csv", csv("{0},{1},"))
    card, clicks = prepared(tmp_path, path, "--drop-invalid", *options.split())
    assert card["rows"] == {"read": 60, "invalid": {"null or empty item_id": 2}}
    dropped = [rule["dropped"] for rule in card["rules"]]
    assert (dropped[0], sum(dropped[1:])) == (2, by_rules)
    assert card["split"]["left_out"]["clicks"] == left_out
    assert len(clicks) == 60 - 2 - by_rules - left_out


def test_null_users_are_bad_rows_where_users_are_asked_for(tmp_path: Path) -> None:
    path = put(tmp_path, "log.parquet", parquet(user_id=spoilt(SESSIONS, None)))
    assert len(gru4rec.read_clicks(path).collect()) == 60
    message = prepare_refusal(tmp_path, path, "--user-col", "user_id")
    assert "null or empty user_id in 2 of 60 rows, first in row 7" in message


@pytest.mark.parametrize("times", [list(range(ROWS)), [n / 4 for n in range(ROWS)]])
def test_times_that_all_lie_in_1970_are_ticks_of_a_clock_but_not_to_prepare(
    times: list[float], tmp_path: Path, caplog: Logged
) -> None:
    path = put(tmp_path, "log.parquet", parquet(timestamp=pl.Series(times)))
    micros = gru4rec.read_clicks(path).collect()["timestamp"].dt.epoch("us").to_list()
    assert micros == [round(tick * 10**6) for tick in times]
    warned = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert len(warned) == 1
    assert warned[0].startswith("every time lies before 1990: taken as a clock")
    message = prepare_refusal(tmp_path, path)
    assert re.search(r"times before 1990 .* in 60 of 60 rows, first in row 1\b", message)
    assert prepare_refusal(tmp_path, path, "--drop-invalid").startswith("Error: every row")


FINE = {
    "times in ISO": csv(times=ISO),
    "blank lines": csv().replace(b"\n", b"\n\n"),
    "blank lines after": csv() + b"\n\n\n",
    "blank lines of Windows": csv().replace(b"\n", b"\r\n\r\n") + b"\r\n",
    "empty rows of a spreadsheet": csv() + b",,\n,,\n",
    "semicolons": csv().replace(b",", b";"),
    "tabs": csv().replace(b",", b"\t"),
    "BOM": b"\xef\xbb\xbf" + csv(),
    "BOM of Windows": b"\xef\xbb\xbf" + csv().replace(b"\n", b"\r\n"),
    "BOM, semicolons": b"\xef\xbb\xbf" + csv().replace(b",", b";"),
}


@pytest.mark.parametrize("kind", FINE)
def test_text_that_is_only_unusual_is_read_whole(kind: str, tmp_path: Path) -> None:
    path = put(tmp_path, "log.csv", FINE[kind])
    assert_frame_equal(gru4rec.read_clicks(path).collect(), CLICKS)
    card, clicks = prepared(tmp_path, path)
    assert card["rows"] == {"read": 60, "invalid": {}}
    assert_frame_equal(clicks, CLICKS)


@pytest.mark.parametrize("separator", [":", "^", " ", "::"])
@pytest.mark.parametrize("command", ["read_clicks", "prepare"])
def test_a_separator_that_is_not_known_leaves_one_column_which_is_shown(
    command: str, separator: str, tmp_path: Path
) -> None:
    path = put(tmp_path, "log.csv", csv().replace(b",", separator.encode()))
    message = refusal(path) if command == "read_clicks" else prepare_refusal(tmp_path, path)
    assert f"it has ['{HEADER.replace(',', separator)}']" in message
    assert re.search("session.col", message)


def test_latin_1_in_another_column_does_not_matter(tmp_path: Path) -> None:
    text = csv().decode().replace("\n", ",K\xf6ln\n").replace("K\xf6ln", "city", 1)
    path = put(tmp_path, "log.csv", text.encode("latin-1"))
    assert_frame_equal(gru4rec.read_clicks(path).collect(), CLICKS)


NOTHING = {
    "empty": ("log.csv", b"", "log.csv is empty"),
    "empty Parquet": ("log.parquet", b"", "log.parquet is empty"),
    "a line end": ("log.csv", b"\n", "log.csv"),
    "a BOM": ("log.csv", b"\xef\xbb\xbf", "log.csv"),
    "a header": ("log.csv", HEADER.encode() + b"\n", "no rows"),
    "half a header": ("log.csv", HEADER.encode(), "no rows"),
    "a header and blank lines": ("log.csv", HEADER.encode() + b"\n\n\n", "no rows"),
    "UTF-16": ("log.csv", csv(code="utf-16"), "convert it to UTF-8"),
    "UTF-16, big end first": ("log.csv", b"\xfe\xff" + csv(code="utf-16-be"), "UTF-8"),
    "half a Parquet": ("log.parquet", parquet()[:700], "log.parquet"),
    "Parquet less a byte": ("log.parquet", parquet()[:-1], "log.parquet"),
    "half an archive": ("log.csv.gz", gzip.compress(csv())[:150], "unexpected end"),
    "an archive less its check": ("log.csv.gz", gzip.compress(csv())[:-8], "unexpected end"),
    "half a JSON line": ("log.ndjson", b'{"session_id":1,"item_id":2}\n{"session', "log.ndjson"),
}
BROKEN_PAGES = parquet()[:20] + bytes(180) + parquet()[200:]  # the footer is whole


@pytest.mark.parametrize("kind", NOTHING)
def test_files_that_are_empty_or_cut_off_are_always_refused(kind: str, tmp_path: Path) -> None:
    name, content, said = NOTHING[kind]
    path = put(tmp_path, name, content)
    assert said in refusal(path)
    assert said in refusal(path, drop_invalid=True)
    assert said in prepare_refusal(tmp_path, path, "--drop-invalid")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("b.parquet", parquet()[:700]), ("b.parquet", BROKEN_PAGES),
        ("b.csv.gz", gzip.compress(csv())[:150]), ("b.csv.gz", gzip.compress(csv() * 2000)[:-99]),
        ("b.csv", b""), ("b.csv", csv(code="utf-16")),
    ],
    ids=[
        "half a Parquet", "broken pages", "half an archive", "an archive less its end",
        "empty", "UTF-16",
    ],
)  # fmt: skip
def test_among_files_the_damaged_one_is_named(name: str, content: bytes, tmp_path: Path) -> None:
    good = [put(tmp_path, "a.csv", csv()), put(tmp_path, "c.parquet", parquet())]
    paths = [good[0], put(tmp_path, name, content), good[1]]
    for message in (refusal(paths, drop_invalid=True), prepare_refusal(tmp_path, *paths)):
        assert name in message
        assert "a.csv" not in message
        assert "c.parquet" not in message


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_bad_row_is_named_by_its_place_in_its_file(name: str, tmp_path: Path) -> None:
    first = parquet() if name == "a.parquet" else FINE["blank lines"]
    paths = [put(tmp_path, name, first), put(tmp_path, "b.csv", csv("{0},{1},"))]
    said = "null or empty item_id in 2 of 120 rows, first in row 7 of b.csv;"
    assert said in refusal(paths)
    assert said in prepare_refusal(tmp_path, *paths)
    clicks = gru4rec.read_clicks(paths, drop_invalid=True).collect()
    assert_frame_equal(clicks, pl.concat([CLICKS, GOOD]))


@pytest.mark.process
@pytest.mark.parametrize(
    ("name", "content", "options", "code", "said"),
    [
        ("log.parquet", parquet()[:700], (), 2, "log.parquet"),
        ("log.csv", csv(HEADER), (), 2, "first in row 7 (the header again)"),
        ("log.parquet", datetimes(GREATEST), (), 2, "in 2 of 60 rows, first in row 7"),
        ("log.csv", csv("{0},{1},"), ("--drop-invalid",), 0, "dropped 2 of 60 rows"),
    ],
)
def test_the_program_says_what_is_wrong_in_one_line(
    name: str, content: bytes, options: tuple[str, ...], code: int, said: str, tmp_path: Path
) -> None:
    program, path = Path(sys.executable).parent / "gru4rec", put(tmp_path, name, content)
    done = subprocess.run(
        [program, "prepare", path, "-o", tmp_path / "out", *options],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code
    assert [said in line for line in done.stderr.splitlines()].count(True) == 1
    assert done.stderr.count("Error: ") == (code != 0)
    assert "Traceback" not in done.stderr
    assert "panicked" not in done.stderr
    assert (tmp_path / "out").exists() == (code == 0)


@pytest.fixture(scope="module")
def robot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log after a session 99 of a million clicks on its items, over 28 hours."""
    n = pl.int_range(10**6)
    clicks = pl.select(
        session_id=pl.lit(99, pl.Int64).repeat_by(10**6).explode(),
        timestamp=NOON - 200_000 + n // 10,
        item_id=pl.format("i{}", n % 5),
    )
    path = tmp_path_factory.mktemp("robot") / "log.parquet"
    pl.concat([clicks, LOG]).write_parquet(path)
    return path


def test_a_session_of_a_million_clicks_is_prepared_and_shows(robot: Path, tmp_path: Path) -> None:
    card, clicks = prepared(tmp_path, robot)
    lengths = card["statistics"]["session_clicks"]
    assert (lengths["0%"], lengths["50%"], lengths["100%"]) == (3, 3, 10**6)
    assert lengths["mean"] == 47_621.905  # 1,000,060 / 21
    assert (len(clicks), clicks.filter(session_id=99).height) == (1_000_060, 10**6)


def test_a_session_of_a_million_clicks_can_be_dropped(robot: Path, tmp_path: Path) -> None:
    options = ("--max-session-clicks", 200, "--long-sessions", "drop")
    card, clicks = prepared(tmp_path, robot, *options)
    assert card["statistics"]["session_clicks"]["100%"] == 3
    assert_frame_equal(clicks, CLICKS)
    assert [rule["dropped"] for rule in card["rules"] if rule["dropped"]] == [10**6]


def test_a_log_of_one_item_is_prepared_and_learned(tmp_path: Path) -> None:
    path = put(tmp_path, "log.parquet", parquet(item_id=pl.lit("x")))
    card, _ = prepared(tmp_path, path)
    assert {rule["items"] for rule in card["rules"]} == {1}
    assert [part["items"] for part in card["parts"].values()] == [1, 1, 1]
    config = gru4rec.Config().replace({**TINY, "training.epochs": 1})
    fitted = gru4rec.GRU4Rec(config, device="cpu").fit(path)
    assert fitted.catalog.item_ids.to_list() == ["x"]
    losses = [epoch["loss"] for epoch in fitted.meta.history]
    assert losses == pytest.approx([0.0], abs=0.01)  # no other item to take; bf16 rounds


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("log.parquet", parquet(item_id=pl.Series([1.5] * ROWS))),
        ("log.ndjson", b'{"session_id":1,"item_id":1.5}\n{"session_id":1,"item_id":2}\n'),
        ("log.parquet", parquet(item_id=pl.Series([True, False] * 30))),
        ("log.ndjson", b'{"session_id":1,"item_id":true}\n{"session_id":1,"item_id":false}\n'),
        ("log.csv", b"session_id,item_id\n1,true\n1,false\n"),
    ],
)
def test_fractions_and_truth_values_are_no_ids(name: str, content: bytes, tmp_path: Path) -> None:
    path = put(tmp_path, name, content)
    for message in (refusal(path, drop_invalid=True), prepare_refusal(tmp_path, path)):
        assert "ids are integers or text" in message
        assert re.search("item.col", message)


def test_ids_of_64_bits_in_json_lines_are_exact(tmp_path: Path) -> None:
    ids = [2**53 + 1, 2**53, GREATEST, -GREATEST - 1]
    lines = "".join(f'{{"session_id":{one},"item_id":{one}}}\n' for one in ids)
    path = put(tmp_path, "log.ndjson", lines.encode())
    assert gru4rec.read_clicks(path).collect().rows() == [(one, one) for one in ids]


def test_a_column_with_our_name_and_another_meaning_is_kept_beside(tmp_path: Path) -> None:
    log = LOG.with_columns(item_id=pl.int_range(ROWS), sku=pl.col("item_id").str.replace("i", "s"))
    path = put(tmp_path, "log.csv", log.write_csv().encode())
    expected = CLICKS.with_columns(pl.col("item_id").str.replace("i", "s"))
    assert_frame_equal(gru4rec.read_clicks(path, item_col="sku").collect(), expected)
    _, clicks = prepared(tmp_path, path, "--item-col", "sku")
    assert_frame_equal(clicks, expected.with_columns(item_id_in_log=pl.int_range(ROWS)))
