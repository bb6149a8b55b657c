"""Make a page of HTML that opens from disk, with pictures and no network."""

import base64
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version

import polars as pl
import torch

from gru4rec.errors import import_extra
from gru4rec.schema import ITEM_ID, SESSION_ID, TIMESTAMP


def check_packages() -> None:
    """Raise MissingExtraError unless the packages that a page is made with are there."""
    for package in ("matplotlib", "jinja2"):
        import_extra(package, extra="report")


def rendered(template: str, **content: object) -> str:
    """Return the page that a template of this room makes of its content, and of `made_with`."""
    jinja2 = import_extra("jinja2", extra="report")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gru4rec", "evaluation"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    page: str = environment.get_template(template).render(**content, made_with=_made_with())
    return page


def sources(pictures: Sequence[str]) -> list[str]:
    """Return the addresses of SVG pictures that hold the pictures themselves."""
    data = (base64.b64encode(svg.encode()).decode() for svg in pictures)
    return [f"data:image/svg+xml;base64,{text}" for text in data]


def row_of_log(name: str, clicks: pl.DataFrame) -> list[object]:
    """Return the row on a log: its name, sessions, clicks, items, first click, last click."""
    times = clicks[TIMESTAMP] if TIMESTAMP in clicks.columns else None
    ends = ["", ""] if times is None else [times.min(), times.max()]
    counts = [clicks[SESSION_ID].n_unique(), clicks.height, clicks[ITEM_ID].n_unique()]
    return [name, *(f"{count:,}" for count in counts), *ends]


def text_of(value: object) -> str:
    """Return a setting as a cell shows it."""
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _made_with() -> list[tuple[str, str]]:
    packages = ("gru4rec", "torch", "polars", "numpy", "matplotlib")
    return [
        *((package, version(package)) for package in packages),
        ("Python", platform.python_version()),
        ("system", platform.platform()),
        ("processor", f"{platform.machine()}, {os.cpu_count()} cores"),
        ("threads", str(torch.get_num_threads())),
        ("GPU", torch.cuda.get_device_name() if torch.cuda.is_available() else "none"),
    ]
