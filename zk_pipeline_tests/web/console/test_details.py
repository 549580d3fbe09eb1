"""The details of the audit trail: every key that the code writes has a name, and every value is one for people."""

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from zk_pipeline.billing.statements import RehashedStatement
from zk_pipeline.domain.ledger import Desired, MasterDataName
from zk_pipeline.domain.mapping_lines import ActivityMapping, CustomerMapping, UserMapping
from zk_pipeline.languages import Language
from zk_pipeline.operate.rederive import RederiveResult
from zk_pipeline.runtime.schedules import FIELDS
from zk_pipeline.web.console import details
from zk_pipeline.web.console.words import CATALOGS, Words
from zk_pipeline_tests.web.console.recorded import keys, recorded

KEYS = {key for catalog in CATALOGS for key in catalog}
RECORDING = ("audit_event", "AuditEvent", "_record")
WHOLE = (UserMapping, ActivityMapping, CustomerMapping, MasterDataName, RehashedStatement)
"""What is written with all its fields."""
DIFFERING = ("user", "activity", "project", "begin", "duration", "break")
ENGLISH, GERMAN, _ = (Words(language, ZoneInfo("Europe/Berlin")) for language in Language)


def written() -> set[str]:
    found = {name for call, known in recorded(*RECORDING) for name in keys(call, known)}
    found |= {field.name for kind in WHOLE for field in fields(kind)}
    found |= Desired(1, 2, 3, "", datetime(2025, 10, 1, tzinfo=UTC), 60).to_json().keys()
    return found | RederiveResult(()).to_json().keys() | {*FIELDS, *DIFFERING, "address", "active"}


def test_there_is_a_name_for_each_key_of_a_detail():
    found = written()
    assert {"base_url", "before", "decision", "kimai_id", "owner", "plan_hash", "why"} < found
    assert {f"fact.{name}" for name in found} - KEYS == set()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("sent", True, ("An Kimai gesendet", "ja")),
        ("day", "2025-10-01", ("Tag", "01.10.2025")),
        ("month", "2025-10", ("Monat", "Oktober 2025")),
        ("project_number", "2025-99", ("Nummer des Projekts", "2025-99")),
        ("expires_at", "2025-10-01T22:30:00+00:00", ("Gültig bis", "02.10.2025, 00:30")),
        ("minutes", "90.00", ("Zeit", "90\u202fmin")),
        ("kimai_id", 50001, ("Nummer in Kimai", "50001")),
        ("bytes", 50001, ("Bytes", "50.001")),
        ("owner", 5, ("Wessen", "Anna Berger")),
        ("fields", ["base_url", "token"], ("Was geändert wurde", "Adresse, Token")),
        ("end", [None, "2025-12-31"], ("Ende", "nichts \N{RIGHTWARDS ARROW} 31.12.2025")),
        ("before", {"role": "viewer", "active": True}, ("Vorher", "Rolle: Nur lesen; Aktiv: ja")),
        (
            "after",
            {"on": {"value": False, "from": "stored"}},
            ("Nachher", "Eingeschaltet (Wert: nein; Von: der Konsole)"),
        ),
        (
            "changed",
            {"user": ["7", "8"], "duration": ["900 s", "600 s"]},
            (
                "Geändert",
                "Benutzer: 8 \N{RIGHTWARDS ARROW} Nina; Dauer: 10\u202fmin \N{RIGHTWARDS ARROW} 15\u202fmin",
            ),
        ),
        (
            "closed_statements",
            [{"month": "2025-10", "was": "ab", "now": "cd"}],
            ("Abgeschlossene Aufstellungen", "(Monat: Oktober 2025; War: ab; Jetzt: cd)"),
        ),
        ("written_long_ago", "so", ("written long ago", "so")),
        (
            "after",
            {"agent": 9, "kimai_user_id": 7},
            ("Nachher", "Agent: Ben; Benutzer in Kimai: Nina"),
        ),
        ("before", {"agent": "eve@example.com"}, ("Vorher", "Agent: eve@example.com")),
        (
            "after",
            {"type_id": None, "organization_id": None, "kimai_activity_id": 4},
            ("Nachher", "Tätigkeitsart: Buchungen ohne Art; Organisation: alle; Tätigkeit in Kimai: 4"),
        ),
        (
            "after",
            {"organization_id": 0, "kimai_customer_id": None},
            ("Nachher", "Organisation: Tickets ohne Organisation; Kunde in Kimai: ein eigener Kunde"),
        ),
        ("rows", {"sync.users": 1}, ("Zeilen", "Benutzer dieser Konsole: 1")),
        (
            "left",
            [{"table": "zammad.agents", "rows": 2}, "/home/a.zip"],
            ("Noch gefunden in", "(Gespeichert in: Agenten in Zammad; Zeilen: 2), /home/a.zip"),
        ),
    ],
)
def test_a_detail_is_told_in_the_readers_words_and_form(name: str, value: Any, said: tuple[str, str]):
    names = {"user:5": "Anna Berger", "kimai:user:7": "Nina", "zammad:agent:9": "Ben"}
    assert details.facts(GERMAN, {name: value}, names) == [said]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("2025-10-17 10:30:00", "17 Oct 2025, 10:30"),
        ("2025-10-17 10:30:17", "17 Oct 2025, 10:30:17"),
        ("", ""),
    ],
)
def test_when_a_time_sheet_begins_is_said_as_other_instants_are(value: str, said: str):
    assert details.compared(ENGLISH, "begin", value) == said


def test_what_is_empty_is_left_out():
    assert details.facts(ENGLISH, {"why": "", "until": None, "changed": {}, "expired": []}, {}) == []


def test_whom_and_what_a_detail_names_by_number_is_asked_for():
    detail = {"owner": 5, "asked": {"project_id": 3, "activity_id": None}, "changed": {"user": ["7", "8"]}}
    detail |= {"after": {"agent": 1, "type_id": 2, "organization_id": 3}}
    in_kimai = {"kimai:project:3", "kimai:user:7", "kimai:user:8"}
    in_zammad = {"zammad:agent:1", "zammad:type:2", "zammad:organization:3"}
    assert set(details.marks_of(detail)) == {"user:5"} | in_kimai | in_zammad
