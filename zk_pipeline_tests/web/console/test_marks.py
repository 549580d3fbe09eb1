"""Whom and what the audit trail names: everything that the code writes into it is shown in words."""

import ast
import re
from itertools import product
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from zk_pipeline.domain.mapping_lines import Kind
from zk_pipeline.identity.throttle import ANONYMOUS
from zk_pipeline.languages import Language
from zk_pipeline.runtime import schedules
from zk_pipeline.store.cancellations import IN_DAGSTER
from zk_pipeline.store.runs import SCHEDULE
from zk_pipeline.web import webhooks
from zk_pipeline.web.console import marks
from zk_pipeline.web.console.words import Words
from zk_pipeline.web.dagster_ui.rules import MUTATIONS
from zk_pipeline_tests.web.console.recorded import PRODUCT, beginnings, called, recorded

RECORDING = ("audit_event", "AuditEvent")
ALL = [Words(language, ZoneInfo("Europe/Berlin")) for language in Language]
ENGLISH, GERMAN, _ = ALL
VALUES = {
    "day:": ["2025-10-01"],
    "days:": ["2025-10-01..2025-10-02"],
    "dagster:": [*MUTATIONS, "POST /upload"],
    "kimai:": ["customer:7", "project:7", "activity:7"],
    "mapping:": list(Kind),
    "period:": ["2025-10"],
    "reason:": list(webhooks.Reason),
    "schedule:": list(schedules.NAMES),
}
"""What may follow the beginning of a mark, where it is not a number."""


def subjects() -> set[str]:
    found = {
        mark
        for call, known in recorded(*RECORDING)
        for mark in beginnings(call.args[1 if called(call) == "audit_event" else 2], known)
    }
    return {f"{mark}{value}" for mark in found for value in (VALUES.get(mark, ["7"]) if mark[-1] == ":" else [""])}


def actors() -> set[str]:
    written = {
        str(value.value)
        for file in PRODUCT.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and (at := {"Actor": 0, "AuditEvent": 1, "_removal": 1}.get(called(node))) is not None
        and isinstance(value := node.args[at], ast.Constant)
    }
    return {*written, ANONYMOUS, IN_DAGSTER, SCHEDULE, "cli:anna", "user:7"}


def test_there_are_words_for_each_subject_of_the_audit_trail():
    found = subjects()
    assert {mark.partition(":")[0] for mark in found} > {"account", "adjustment", "backup", "kimai", "retention", "run"}
    unsaid = {mark for words, mark in product(ALL, found) if marks.named(words, mark, {}) == mark}
    assert unsaid == set()


def test_there_are_words_for_each_actor_of_the_audit_trail():
    found = actors()
    assert {"pipeline", "webhook", "environment", "identity-provider"} < found
    assert {mark for words, mark in product(ALL, found) if marks.actor(words, mark) == mark} == set()


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        ("kimai:project:12", "Kimai-Projekt Support"),
        ("kimai:project:13", "Kimai-Projekt 13"),
        ("customer:7", "Kunde Muster AG"),
        ("mapping:user", "Zuordnung eines Agenten"),
        ("schedule:catch_up", "Regelmäßiger Abgleich"),
        ("period:2025-10", "Oktober 2025"),
        ("days:2025-10-01..2025-10-02", "01.10.2025 \N{EN DASH} 02.10.2025"),
        ("audit:1-20:0123456789abcdef", "Zeilen des Protokolls 1-20"),
        ("audit:3,7-9", "Zeilen des Protokolls 3, 7-9"),
        ("reason:bad_signature", "Falsche Signatur"),
        ("dagster:setSensorCursor", "In Dagster: set sensor cursor"),
        ("person-0123456789ab", "Gelöschte Person 01234567"),
        ("run:0123456789ab", "Lauf 01234567"),
        ("run:1123456789ab", "Lauf 02.10.2025, 00:30"),
        ("user:5", "Anna Berger"),
        ("nobody", "jemand ohne Anmeldung"),
    ],
)
def test_a_mark_is_said_by_its_kind_and_name(mark: str, said: str):
    names = {"kimai:project:12": "Support", "customer:7": "Muster AG", "user:5": "Anna Berger"}
    names["run:1123456789ab"] = "2025-10-01T22:30:00+00:00"
    assert marks.named(GERMAN, mark, names) == said


def test_a_schedule_is_called_as_where_it_is_set():
    assert ENGLISH("subject.schedule.catch_up") == ENGLISH("schedule.catch_up")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Anna Berger", ("Anna Berger", "Anna Berger", "Anna Berger")),
        ("cli:anna", ("anna (command line)", "anna (Kommandozeile)", "anna (ligne de commande)")),
        ("user:5", ("a former user (5)", "ein früherer Benutzer (5)", "un ancien utilisateur (5)")),
        ("dagster", ("somebody in Dagster", "jemand in Dagster", "quelqu'un dans Dagster")),
        ("", ("", "", "")),
    ],
)
def test_an_actor_without_a_name_is_shown_as_people_would_say(said: str, shown: tuple[str, str, str]):
    assert tuple(marks.actor(words, said) for words in ALL) == shown


def test_whoever_decided_is_never_shown_as_stored():
    """Each name of an actor, which may be a mark, goes through `marks.actor`."""
    told = re.compile(r"(?<!marks\.actor\(words, )\b\w+\.(?:decided_by_name|approved_by|reviewed_by|cancelled_by)\b")
    console = Path(marks.__file__).parent
    lines = [line for file in console.rglob("*.py") for line in file.read_text().splitlines() if told.search(line)]
    allowed = ("row.decided_by_name for row in decided.items", "row.cancelled_by == IN_DAGSTER")
    assert [line for line in lines if not any(part in line for part in allowed)] == []
