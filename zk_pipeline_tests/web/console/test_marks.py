"""Whom and what the audit trail names: everything that the code writes into it is shown in words."""

import ast
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import zk_pipeline
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

PRODUCT = Path(zk_pipeline.__file__).parent
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
ELSEWHERE = {
    "subject": [],  # `Actor.audit_event` passes on what its callers give, and they are looked at.
    "actor.name": ["user:7"],
    "PROVIDER.name": ["identity-provider"],
    "person.hashes.pseudonym": ["person-0123456789ab"],
}
"""The marks of expressions that name none."""


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)


def beginnings(node: ast.expr, known: dict[str, list[ast.expr]]) -> list[str]:
    """With what the marks begin that an expression gives; `known` has the values of names, and what functions return.

    Fails for an expression whose marks cannot be told: say in `ELSEWHERE` which they are.
    """
    match node:
        case ast.Constant(value=str(mark)):
            return [mark]
        case ast.IfExp():
            return beginnings(node.body, known) + beginnings(node.orelse, known)
        case ast.JoinedStr(values=[ast.Constant(value=str(first)), *_]):
            return [first[: first.index(":") + 1]]
        case ast.JoinedStr(values=[ast.FormattedValue(value=first), *_]):
            return [f"{mark.partition(':')[0]}:" for mark in beginnings(first, known)]
        case ast.Name(id=name) | ast.Call(func=ast.Name(id=name)) if name in known:
            return [mark for value in known[name] for mark in beginnings(value, known)]
        case _:
            assert ast.unparse(node) in ELSEWHERE, ast.unparse(node)
            return ELSEWHERE[ast.unparse(node)]


def values_of(tree: ast.AST) -> dict[str, list[ast.expr]]:
    """What is assigned to names, and what functions of one line return."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found.setdefault(name, []).append(value)
            case ast.FunctionDef(name=name, body=[*_, ast.Return(value=ast.expr() as value)]):
                found.setdefault(name, []).append(value)
            case _:
                pass
    return found


def recorded() -> Iterator[tuple[ast.Call, dict[str, list[ast.expr]]]]:
    """Every call that makes an event of the trail, with the values of the names around it."""
    for file in PRODUCT.rglob("*.py"):
        tree = ast.parse(file.read_text())
        of_module = values_of(tree)
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                known = of_module | values_of(function)
                calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
                yield from ((call, known) for call in calls if called(call) in {"audit_event", "AuditEvent"})


def subjects() -> set[str]:
    found = {
        mark
        for call, known in recorded()
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
        ("user:5", "Anna Berger"),
        ("nobody", "jemand ohne Anmeldung"),
    ],
)
def test_a_mark_is_said_by_its_kind_and_name(mark: str, said: str):
    names = {"kimai:project:12": "Support", "customer:7": "Muster AG", "user:5": "Anna Berger"}
    assert marks.named(GERMAN, mark, names) == said


def test_a_schedule_is_called_as_where_it_is_set():
    assert ENGLISH("subject.schedule.catch_up") == ENGLISH("schedule.catch_up")
