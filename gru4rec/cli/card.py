"""The card of a prepared log as text for a terminal."""

from collections.abc import Iterator

from gru4rec.preparation import Card


def as_text(card: Card) -> str:
    """The card for a reader at a terminal."""
    lines: list[tuple[str, ...]] = [("", "clicks", "sessions", "items", "dropped")]
    for line in card["rules"]:
        name = f"{line['rule']} {line['setting']}".strip()
        lines.append((name, *(_number(line[key]) for key in lines[0][1:])))
    out = card["split"]["left_out"]
    lines.append(("across a cut, in no part", *map(_number, (out["clicks"], out["sessions"]))))
    for name, part in card["parts"].items():
        lines.append((name, *(_number(part[key]) for key in lines[0][1:4])))
    width = max(len(line[0]) for line in lines)
    text = [line[0].ljust(width) + "".join(cell.rjust(14) for cell in line[1:]) for line in lines]
    return "\n".join([*text, "", *_statistics(card), *_published(card)])


def _statistics(card: Card) -> Iterator[str]:
    found = card["statistics"]
    if card["time"]:
        yield "sessions: " + ", ".join(f"{what} {when}" for what, when in card["time"].items())
    for name, cut in card["split"]["cuts"].items():
        yield f"{name} {cut['asked']}: from {cut['at']}"
    for name in ("session_clicks", "item_clicks"):
        steps = "  ".join(f"{at} {value:g}" for at, value in found[name].items())
        yield f"{name.replace('_', ' ')}: {steps}"
    yield f"targets clicked before in their session: {_percent(found['revisit_share'])}"
    yield (
        "transitions of train to the most frequent follower (how much order matters): "
        f"{_percent(found['order_share'])}"
    )
    for name, part in card["parts"].items():
        if "unknown_target_share" in part:
            yield f"{name} targets on items not in train: {_percent(part['unknown_target_share'])}"


def _published(card: Card) -> Iterator[str]:
    for line in card["published"]:
        off = "" if line["found"] is None else f" ({line['found'] / line['published'] - 1:+.2%})"
        yield (
            f"published {line['of']} {line['what']} {_number(line['published'])}, "
            f"found {_number(line['found'])}{off}"
        )


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _percent(value: float | None) -> str:
    return "none" if value is None else f"{value:.1%}"
