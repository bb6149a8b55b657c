"""Every block of commands and of Python in the README and in docs/ runs as it stands."""

import re
import shutil
import sys
from pathlib import Path

import polars as pl
import pytest
from doc_blocks import DOCS, PAGES, ROOT, blocks_of, run, run_shell

import gru4rec as g4r

pytestmark = pytest.mark.docs

SHELL = [(page, number) for page in PAGES for number in range(len(blocks_of(page, "sh")))]
PYTHON = [page for page in PAGES if blocks_of(page, "python")]


@pytest.fixture(scope="module")
def first_steps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the pages read, after the commands of the page of first steps."""
    folder = tmp_path_factory.mktemp("first_steps")
    shutil.copytree(ROOT / "datasets", folder / "datasets")
    clicks = pl.read_parquet(folder / "datasets" / "sample" / "clicks.parquet")
    ours = ("session_id", "item_id", "timestamp")
    visits = clicks.rename(dict(zip(ours, ("visitor", "sku", "ts"), strict=True)))
    visits.with_columns(event=pl.lit("view")).write_csv(folder / "events.csv")
    news = clicks.rename({"item_id": "article", "timestamp": "clicked_at"})
    (folder / "hours").mkdir()
    for number, hour in enumerate(news.iter_slices(5_000)):
        hour.write_csv(folder / "hours" / f"{number:03d}.csv")
    for _, block in blocks_of("index.md", "sh"):
        run_shell(block, folder)
    return folder


@pytest.fixture(scope="module")
def folders(first_steps: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder for each page, in which its blocks run one after the other."""
    pages = {page: tmp_path_factory.mktemp("pages") / page for page in PAGES}
    for folder in pages.values():
        shutil.copytree(first_steps, folder)
    return {**pages, "index.md": first_steps}


def test_the_blocks_of_the_ci_are_in_the_readme():
    markers = [marker for marker, _ in blocks_of("README.md", "sh") if marker]
    assert markers == ["<!-- main -->\n", "<!-- test -->\n"]


def test_the_readme_is_short():
    assert PAGES["README.md"].count("\n") <= 150


@pytest.mark.parametrize(("page", "number"), SHELL)
def test_shell_blocks_run_as_they_stand(page, number, folders):
    marker, block = blocks_of(page, "sh")[number]
    if "test" in marker:
        assert "pytest" in block  # running it here would run this test
        return
    if page == "index.md":
        return  # the fixture has run them
    printed = run_shell(block, folders[page])
    if "main" in marker:
        assert "item_id" in printed
        assert printed.count("c03-") >= 3


@pytest.mark.parametrize("page", PYTHON)
def test_python_blocks_of_a_page_run_one_after_the_other(page, folders):
    program = "\n".join(block for _, block in blocks_of(page, "python"))
    run([sys.executable, "-W", "error", "-c", program], folders[page])


def test_the_page_of_the_design_names_every_room():
    for room in (ROOT / "gru4rec").glob("*/__init__.py"):
        assert f"| `{room.parent.name}/` |" in PAGES["design.md"], room


def test_the_api_names_every_public_name():
    named = re.findall(r"^::: gru4rec\.(\w+)$", PAGES["api.md"], re.MULTILINE)
    assert set(named) - {"errors"} == set(g4r.__all__)
    assert len(named) == len(set(named))


def test_the_menu_of_the_site_names_every_page():
    menu = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)
    assert sorted(menu) == sorted(set(PAGES) - {"README.md"})


def test_links_between_pages_lead_somewhere():
    for page, text in PAGES.items():
        folder = ROOT if page == "README.md" else DOCS
        text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            assert (folder / target).exists(), f"{page} links to {target}"


def test_the_site_builds(tmp_path):
    pytest.importorskip("mkdocs", reason="the site needs the extra [docs]")
    pytest.importorskip("mkdocstrings", reason="the site needs the extra [docs]")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    run([*build, "--site-dir", str(tmp_path / "site")], ROOT)
