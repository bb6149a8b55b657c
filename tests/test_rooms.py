"""The rooms of the package: which may import which, and by their faces only."""

import ast
import importlib
import re
from pathlib import Path

import pytest

import gru4rec

PACKAGE = Path(gru4rec.__file__).parent

# Each room may import those of the lines above it, and the files of the root that are no room.
ORDER = [
    ["clicks"],
    ["preparation", "sessions"],
    ["model", "serving"],
    ["training"],
    ["recommenders"],
    ["evaluation", "exporting"],
    ["tuning"],
    ["service"],
    ["spark"],
    ["cli"],
]
ROOMS = [room for line in ORDER for room in line]
FILES = [file for file in PACKAGE.rglob("*.py") if file.parent != PACKAGE]
ROOT_FILES = [file for file in PACKAGE.glob("*.py") if file.stem not in ("__init__", "__main__")]


def room_of(file: Path) -> str:
    """The room a file lies in; "" for a file of the root."""
    parts = file.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ""


def imports_of(file: Path) -> list[tuple[str, str]]:
    """(module, name) of all that a file imports of ours, at its top or inside a function."""
    return [
        (node.module, alias.name)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "gru4rec"
        for alias in node.names
        if node.module is not None
    ]


def other_rooms(file: Path) -> list[tuple[str, str, str]]:
    """(room, module, name) of all that a file imports of other rooms than its own."""
    found = []
    for module, name in imports_of(file):
        room = name if module == "gru4rec" else module.split(".")[1]
        if room in ROOMS and room != room_of(file):
            found.append((room, module, name))
    return found


def test_every_folder_of_the_package_is_a_room():
    folders = {path.name for path in PACKAGE.iterdir() if any(path.glob("*.py"))}
    assert folders == set(ROOMS)


def test_the_hall_holds_thirteen_files_at_most():
    assert len(list(PACKAGE.glob("*.py"))) <= 13


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_room_imports_those_below_it_by_their_faces(file):
    mine = next(level for level, line in enumerate(ORDER) if room_of(file) in line)
    below = {room for line in ORDER[:mine] for room in line}
    for room, module, name in other_rooms(file):
        assert room in below, f"{room_of(file)} imports {name} of {room}"
        assert module == f"gru4rec.{room}", f"{name} is taken past the face of {room}"
        assert name in importlib.import_module(module).__all__


def test_only_the_command_line_and_spark_import_preparation():
    importers = {
        room_of(file) for file in FILES for room, *_ in other_rooms(file) if room == "preparation"
    }
    assert importers == {"cli", "spark"}


def test_files_of_the_root_import_no_room():
    for file in ROOT_FILES:
        assert other_rooms(file) == [], file


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "cli"])
def test_a_face_gives_exactly_what_it_names(room):
    face = importlib.import_module(f"gru4rec.{room}")
    imported = {name for module, name in imports_of(PACKAGE / room / "__init__.py")}
    assert set(face.__all__) == imported - {"lazy_face"}
    assert len(str(face.__doc__).strip().splitlines()) == 1
    for name in face.__all__:
        assert getattr(face, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = face.no_such_name


@pytest.mark.parametrize("room", ["", *ROOMS])
def test_nothing_that_a_face_exports_has_the_name_of_a_module_below_it(room):
    # Importing the module would put it in the place of the function.
    folder = PACKAGE / room
    modules = {path.stem for path in folder.iterdir()}
    face = importlib.import_module(f"gru4rec.{room}" if room else "gru4rec")
    assert modules.isdisjoint(getattr(face, "__all__", ()))


def test_files_can_be_read_in_one_sitting():
    for file in PACKAGE.rglob("*.py"):
        lines = file.read_text(encoding="utf-8").count("\n")
        assert lines <= 300, f"{file} has {lines} lines"


def test_the_library_does_not_speak_of_options():
    # An error names the arguments that would mend it; the command line adds the dashes.
    for file in PACKAGE.rglob("*.py"):
        if room_of(file) == "cli" or file.stem == "faces":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not re.search(r"(?<![\w-])--[a-z]", node.value), (file, node.value)
