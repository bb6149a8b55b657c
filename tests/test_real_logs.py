"""What `auto` reaches on real logs."""

from pathlib import Path

import pytest
from toys import DATA

import gru4rec as g4r

pytestmark = pytest.mark.slow


def real_log(name: str) -> Path:
    path = DATA / f"{name}.parquet"
    if not path.exists():
        pytest.skip(f"{path} is not here: let GRU4REC_DATA name the folder of the real logs")
    return path


@pytest.mark.parametrize(
    ("name", "recall", "mrr"),
    [
        ("yoochoose_100k", 0.695, 0.362),
        ("yoochoose1_64", 0.712, 0.309),
        ("diginetica", 0.525, 0.181),
    ],
)
def test_settings_by_auto_reach_what_the_authors_code_does_not(name, recall, mrr):
    path = real_log(name)
    train = g4r.read_clicks(path, where="split <> 'test'")
    test = g4r.read_clicks(path, where="split = 'test'")
    table = g4r.evaluate({"gru4rec": g4r.GRU4Rec().fit(train)}, test, ks=[20])
    assert table.filter(metric="recall")["value"].item() >= recall
    assert table.filter(metric="mrr")["value"].item() >= mrr


def test_raw_hourly_files_are_read_as_one_log():
    folder = DATA / "globo_hours"
    if not folder.exists():
        pytest.skip(f"{folder} is not here: let GRU4REC_DATA name the folder of the real logs")
    clicks = g4r.read_clicks(folder, item_col="click_article_id", time_col="click_timestamp")
    assert clicks.collect().height > 200_000
