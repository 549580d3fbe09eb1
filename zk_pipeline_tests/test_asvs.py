"""The page on OWASP's ASVS answers each requirement of level 1 and 2 once, and names files that are there."""

import re
from collections import Counter
from pathlib import Path

import pytest

from zk_pipeline.runtime.environment import PROJECT

PAGE = PROJECT / "docs" / "asvs.md"
ANSWERS = ("met", "part", "open", "n/a")
_ROW = re.compile(r"^\| (\d+\.\d+\.\d+) \| ([12]) \| ([^|]+) \| \**([a-z/]+)\** \| ([^|]+) \|$", re.MULTILINE)
_FILE = re.compile(r"`((?:[\w-]+/|\.github/)*[\w.-]+\.(?:py|md|yml|yaml|txt|toml|js|template)|\.dockerignore)`")

ASKED = """
    1.1:1-2 1.2:1-9 1.3:1-11 1.4:1-3 1.5:1-2
    2.1:1-3 2.2:1-3 2.3:1-4 2.4:1-1
    3.2:1-2 3.3:1-4 3.4:1-6 3.5:1-5 3.7:1-2
    4.1:1-3 4.2:1-1 4.3:1-2 4.4:1-4
    5.1:1-1 5.2:1-3 5.3:1-2 5.4:1-3
    6.1:1-3 6.2:1-12 6.3:1-4 6.4:1-4 6.5:1-5 6.6:1-3 6.8:1-4
    7.1:1-3 7.2:1-4 7.3:1-2 7.4:1-5 7.5:1-2 7.6:1-2
    8.1:1-2 8.2:1-3 8.3:1-1 8.4:1-1
    9.1:1-3 9.2:1-4
    10.1:1-2 10.2:1-2 10.3:1-4 10.4:1-11 10.5:1-5 10.6:1-2 10.7:1-3
    11.1:1-2 11.2:1-3 11.3:1-3 11.4:1-4 11.5:1-1 11.6:1-1
    12.1:1-3 12.2:1-2 12.3:1-4
    13.1:1-1 13.2:1-5 13.3:1-2 13.4:1-5
    14.1:1-2 14.2:1-4 14.3:1-3
    15.1:1-3 15.2:1-3 15.3:1-7
    16.1:1-1 16.2:1-5 16.3:1-4 16.4:1-3 16.5:1-3
    17.1:1-1 17.2:1-4 17.3:1-2
"""
"""The numbers of level 1 and 2 in version 5.0.0, by section."""


def numbers() -> list[str]:
    """Each number that is to be answered."""
    found: list[str] = []
    for section, first, last in re.findall(r"([\d.]+):(\d+)-(\d+)", ASKED):
        found += [f"{section}.{number}" for number in range(int(first), int(last) + 1)]
    return found


@pytest.fixture(scope="module")
def rows() -> list[tuple[str, ...]]:
    """Number, level, what is asked, answer, and where or why."""
    return _ROW.findall(PAGE.read_text(encoding="utf-8"))


def test_each_requirement_of_level_1_and_2_is_answered_once(rows: list[tuple[str, ...]]) -> None:
    assert len(numbers()) == 253
    assert [number for number, *_ in rows] == numbers()
    assert {answer for _, _, _, answer, _ in rows} == set(ANSWERS)


def test_what_is_met_names_where_and_each_named_file_is_there(rows: list[tuple[str, ...]]) -> None:
    named = {number: _FILE.findall(where) for number, *_, where in rows}
    assert [number for number, _, _, answer, _ in rows if answer in {"met", "part"} and not named[number]] == []
    missing = {number: [name for name in names if not is_there(name)] for number, names in named.items()}
    assert {number: names for number, names in missing.items() if names} == {}


def is_there(name: str) -> bool:
    if name.startswith("tests/"):
        return (PROJECT / "zk_pipeline_tests" / name.removeprefix("tests/")).is_file()
    return any(Path(folder, name).is_file() for folder in (PROJECT / "zk_pipeline", PROJECT))


def test_the_page_counts_its_answers_rightly(rows: list[tuple[str, ...]]) -> None:
    counts = Counter(answer for _, _, _, answer, _ in rows)
    met, part, left, none = (counts[answer] for answer in ANSWERS)
    told = f"Of {len(rows)}, {met} are met, {part} in part, {left} open, and {none} do not apply."
    assert told in PAGE.read_text(encoding="utf-8")
