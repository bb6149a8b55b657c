"""Settings are chosen by what they are worth on sessions held out, each measured once."""

from dataclasses import dataclass

import pytest
import torch
from toys import clicks_of

import gru4rec as g4r
from gru4rec.recommenders.baselines.choosing import Choosing
from gru4rec.sessions import to_arrays
from gru4rec.sessions.catalog import Catalog
from gru4rec.settings import Settings, setting

LOG = clicks_of([[f"i{n % 30}", f"i{(n + 1) % 30}"] for n in range(100)])


@dataclass(frozen=True, kw_only=True)
class Place(Settings):
    """A place on a plane; y is above 0."""

    x: float = 0.0
    y: float = setting(1.0, low=0.5)

    def __post_init__(self) -> None:
        self.check("place.")


class Hill:
    """Ranks every target the higher, the nearer its settings are to the top at (3, 4)."""

    def __init__(self, settings: Place, measured: list[tuple[float, float]]) -> None:
        self.height = 20 - abs(settings.x - 3) - abs(settings.y - 4)
        measured.append((settings.x, settings.y))

    def score(self, sessions, clicks):
        targets = torch.from_numpy(sessions.items[clicks + 1])
        scores = torch.linspace(0, 20, 30).repeat(len(clicks), 1)
        scores.scatter_(1, targets[:, None], self.height)
        yield slice(0, len(clicks)), scores


def choosing() -> tuple[Choosing, list[tuple[float, float]]]:
    measured: list[tuple[float, float]] = []
    sessions = to_arrays(LOG.lazy(), Catalog.of(LOG.lazy()))
    return Choosing(sessions, lambda settings, _: Hill(settings, measured)), measured


def test_a_search_climbs_one_setting_after_the_other_and_measures_none_twice():
    chosen, measured = choosing()
    steps = {"x": (1.0, 2.0, 3.0, 9.0), "y": (-1.0, 2.0, 4.0)}
    assert chosen.climb(Place(), steps) == Place(x=3.0, y=4.0)
    assert len(measured) == len(set(measured))
    assert all(y > 0 for _, y in measured)  # what settings refuse is not tried


def test_of_equal_settings_the_first_is_taken_and_one_alone_is_not_measured():
    chosen, measured = choosing()
    assert chosen.best_of([Place(x=1.0)]) == Place(x=1.0)
    assert measured == []
    assert chosen.best_of([Place(x=2.0), Place(x=4.0)]) == Place(x=2.0)


def test_vstan_searched_is_no_worse_on_what_was_held_out_and_keeps_what_was_given():
    log = g4r.generate_clicks(sessions=400, items=80, categories=4, seed=3)
    plain = g4r.VSTAN(lambda_2=3.0).fit(log)
    searched = g4r.VSTAN(lambda_2=3.0).fit(log, search=True)
    assert searched.settings.lambda_2 == 3.0
    assert searched.settings != plain.settings
    order = log["session_id"].unique(maintain_order=True)
    older = log.filter(~log["session_id"].is_in(order[-40:].implode()))
    newest = log.filter(log["session_id"].is_in(order[-40:].implode()))

    def worth(recommender: g4r.Recommender) -> float:
        again = g4r.VSTAN(**recommender.settings_dict()).fit(older)
        table = g4r.evaluate({"r": again}, newest, ks=(20,), intervals=False)
        values = dict(zip(table["metric"], table["value"], strict=True))
        return values["recall"] + values["mrr"]

    assert worth(searched) >= worth(plain)


def test_a_log_too_small_to_hold_out_keeps_the_first_published_settings():
    log = clicks_of([["a", "b"]] * 5)
    assert g4r.VSTAN().fit(log, search=True).settings == g4r.VSTAN().settings
    assert g4r.VSTAN().fit(log, search=True).recommend([["a"]], 2)["rank"].to_list() == [1, 2]


def test_every_step_of_vstan_is_a_value_of_its_settings():
    for name, values in g4r.VSTAN.steps.items():
        for value in values:
            assert getattr(g4r.VSTAN(**{name: value}).settings, name) == value


def test_where_there_is_nothing_to_search_it_is_said():
    with pytest.raises(g4r.ConfigError, match="stan has no settings left to search"):
        g4r.STAN().fit(LOG, search=True)
