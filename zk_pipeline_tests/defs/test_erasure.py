"""What is handed out and what is erased of a person who was carried through the whole chain by real runs."""

import json
import zipfile
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from zk_pipeline.billing import statements
from zk_pipeline.billing.files.closed_statement import closing_content, statement_hash
from zk_pipeline.domain.adjustments import AdjustmentState
from zk_pipeline.domain.periods import fingerprint
from zk_pipeline.domain.statement import Amounts, StatementCustomer, StatementLine, statement_of
from zk_pipeline.domain.statement_rows import AdjustmentLine, StatementItem
from zk_pipeline.identity.actors import Actor, OperationError, Role, StaleError, UnknownError
from zk_pipeline.identity.throttle import account_hash
from zk_pipeline.privacy import erasure
from zk_pipeline.privacy.erasure import Fate
from zk_pipeline.privacy.queries import columns
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.store import audit, deliveries, periods, tickets
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.deliveries import WebhookDelivery
from zk_pipeline_tests.defs.world import MONDAY, World, at

EMAIL, NAME = "anna@example.com", "Anna Lüdenscheid"
ADMIN = Actor("user:2", Role.ADMIN, "10.0.0.9")
NAMED = [{"ZK_DESCRIPTION": "Ticket {ticket_number}: {title} ({agent})"}]


def furnish(world: World) -> None:
    """Anna is everywhere: agent and Kimai user, in titles and descriptions, as a customer, in conflicts."""
    server, users = world.desk.server, world.desk.server.state.users
    agent = world.desk.agents["anna"]
    users[agent] = replace(users[agent], firstname="Anna", lastname="Lüdenscheid")
    world.office.amend("users", world.office.users["anna"], alias=NAME)
    world.desk.tickets["named"] = server.add_ticket(f"Call {NAME} <{EMAIL}>", customer_id=agent)
    world.desk.book(15)
    world.desk.book(30, at("10:00"), ticket="named")
    world.desk.book(45, at("11:00"), agent="ben")
    world.desk.book(20, at("12:00"), type_id=server.add_type("Unmapped"))


def note(world: World) -> None:
    """A webhook, a mapping and its event name her, and she may sign in."""
    body = json.dumps({"ticket": {"id": 1}, "owner": {"email": EMAIL, "name": NAME}}, ensure_ascii=False)
    with world.environment.runtime.database.transaction() as connection:
        deliveries.save(connection, [WebhookDelivery("zammad", "1", 1, body.encode())])
        audit.append(connection, [AuditEvent("mapping.set", "user:1", "mapping:user", {"after": {"email": EMAIL}})])
    world.execute("INSERT INTO sync.user_mappings (email, kimai_user_id) VALUES (:email, 2)", email=EMAIL)
    for number, email, name in ((1, EMAIL, NAME), (2, "boss@example.com", "Boss")):
        world.execute(
            "INSERT INTO sync.users (id, email, name, role, password_hash) VALUES (:id, :email, :name, 'admin', 's3')",
            id=number,
            email=email,
            name=name,
        )
    world.execute("INSERT INTO sync.sessions (id, user_id, refresh_hash, expires_at) VALUES ('s', 1, 's3', now())")


@pytest.fixture
def known(world: World) -> World:
    furnish(world)
    world.sync()
    note(world)
    return world


@pytest.fixture
def runtime(known: World) -> Runtime:
    return known.environment.runtime


def erase(runtime: Runtime) -> str:
    """Erase Anna by the plan as it is; her pseudonym."""
    plan = erasure.plan_erasure(runtime, EMAIL)
    return erasure.erase(runtime, EMAIL, plan.hash, ADMIN).pseudonym


def naming(runtime: Runtime) -> list[str]:
    """Every column of every table that holds her name or address, whatever its type."""
    found: list[str] = []
    with runtime.database.transaction() as connection:
        for column in columns(connection):
            content = f"convert_from({column.name}, 'UTF8')" if column.kind == "bytea" else f'"{column.name}"::text'
            query = f"SELECT count(*) FROM {column.table} WHERE {content} ILIKE ANY(:terms)"
            if connection.execute(text(query), {"terms": [f"%{EMAIL}%", f"%{NAME}%"]}).scalar_one():
                found.append(f"{column.table}.{column.name}")
    return found


def unpacked(runtime: Runtime) -> dict[str, Any]:
    with erasure.export(runtime, EMAIL, ADMIN) as file, zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    return {name: json.loads(value) if name.endswith(".json") else value for name, value in texts.items()}


@pytest.mark.parametrize("settings", NAMED, indirect=True)
def test_an_erased_person_is_named_in_no_column_of_any_table(runtime: Runtime) -> None:
    before = naming(runtime)
    assert {"zammad.agents.email", "sync.normalized_entries.user_name", "sync.pushes.base"} <= set(before)
    erase(runtime)
    assert naming(runtime) == []


@pytest.mark.parametrize("settings", NAMED, indirect=True)
def test_the_person_does_not_come_back_with_the_next_sync(known: World, runtime: Runtime) -> None:
    pseudonym = erase(runtime)
    known.desk.book(25, at("14:00"), ticket="named")
    known.sync()
    assert naming(runtime) == []
    assert known.value("SELECT DISTINCT user_name FROM sync.normalized_entries WHERE user_name <> 'Ben'") == pseudonym


def test_an_erasure_changes_nothing_in_kimai_and_leaves_everything_in_step(known: World, runtime: Runtime) -> None:
    before, minutes = known.office.creates_sent(), known.office.minutes()
    reasons = known.reasons()
    erase(runtime)
    report = known.sync()
    assert (known.office.creates_sent(), known.office.minutes(), known.reasons()) == (before, minutes, reasons)
    assert not {"created", "updated", "deleted"} & {name for name, number in report.counts.items() if number}


def test_new_bookings_of_the_person_still_reach_their_kimai_user(known: World, runtime: Runtime) -> None:
    erase(runtime)
    booking = known.desk.book(25, at("14:00"))
    known.sync()
    assert known.office.sheet(booking).user == known.office.users["anna"]


def test_the_chain_verifies_after_an_erasure_and_names_nobody(runtime: Runtime) -> None:
    pseudonym = erase(runtime)
    with runtime.database.transaction() as connection:
        assert audit.verify(connection).broken_at is None
        last = connection.execute(text("SELECT event, actor, subject FROM sync.audit_logs ORDER BY id DESC LIMIT 1"))
        assert tuple(last.one()) == ("privacy.erased", "user:2", pseudonym)


def test_of_a_ticket_only_what_is_needed_is_stored(known: World) -> None:
    assert known.value("SELECT array_agg(DISTINCT raw::text) FROM zammad.tickets") == ["{}"]


def test_the_plan_says_that_the_account_of_the_operating_system_stays_in_the_chain(runtime: Runtime) -> None:
    warnings = erasure.plan_erasure(runtime, EMAIL).warnings
    assert any("it still names that account" in warning for warning in warnings)


def about_the_person(customer: StatementCustomer, day: date) -> tuple[StatementItem, AdjustmentLine]:
    """A time sheet and a settled credit of theirs, named in title and note as well."""
    shared: dict[str, Any] = {
        "customer": customer,
        "day": day,
        "ticket": "50001",
        "agent": NAME,
        "agent_email": EMAIL,
        "activity": "Support",
        "currency": "EUR",
        "booking": "17",
    }
    title, sixty = f"Call {NAME} <{EMAIL}>", Decimal(60)
    item = StatementItem(**shared, title=title, minutes=sixty, billable=True, amount=Decimal(90), timesheet=3)
    settled: dict[str, Any] = {
        "booked_on": day,
        "elsewhere": False,
        "state": AdjustmentState.SETTLED,
        "note": f"Agreed with {NAME}",
    }
    credit = AdjustmentLine(**shared, **settled, id=1, title=f"Call {NAME}", minutes=Decimal(-15), amount=None)
    return item, credit


def test_a_closed_statement_keeps_its_minutes_and_tells_honestly_that_a_name_is_gone(
    known: World, runtime: Runtime
) -> None:
    customer, day = StatementCustomer("ACME", 1), date(2025, 9, 3)
    line = StatementLine(customer, NAME, EMAIL, "Support", Amounts(1, Decimal(60), Decimal(60)))
    item, credit = about_the_person(customer, day)
    content = closing_content(statement_of(day.replace(day=1), [line], items=[item], adjustments=[credit]))
    with runtime.database.transaction() as connection:
        periods.close(
            connection,
            date(2025, 9, 1),
            actor="user:2",
            audit_head="",
            statement=content,
            statement_hash=statement_hash(content),
            kept_hash=fingerprint(content),
            waiting=Decimal(0),
        )
    export = unpacked(runtime)["sync/closed_statements.json"]
    assert [row["lines"][0]["agent"] for row in export] == [NAME]
    assert [item["booking"] for item in export[0]["items"]] == ["17", "17"]
    pseudonym = erase(runtime)
    with runtime.database.transaction() as connection:
        found = statements.closed_statement(connection, date(2025, 9, 1))
    assert found.closing is not None
    assert [(row.agent, row.amounts.kimai) for row in found.lines] == [(pseudonym, 60)]
    (account,) = found.accounts
    ((item,), (credit,)) = account.items, account.adjustments
    assert (item.agent, credit.agent, item.minutes, item.amount) == (pseudonym, pseudonym, 60, 90)
    for kept in (item.title, credit.title, credit.note):
        assert (pseudonym in kept, NAME in kept, EMAIL in kept) == (True, False, False)
    assert (found.closing.pseudonymized, found.closing.hash) == (True, statement_hash(content))
    (changed,) = known.value("SELECT detail -> 'closed_statements' FROM sync.audit_details ORDER BY id DESC LIMIT 1")
    assert (changed["month"], changed["was"]) == ("2025-09", statement_hash(content))
    assert changed["now"] == statement_hash(known.value("SELECT content FROM sync.closed_statements"))


def test_the_plan_tells_the_fate_of_each_table_and_why(runtime: Runtime) -> None:
    plan = erasure.plan_erasure(runtime, f" {EMAIL.upper()} ")
    fates = {(line.table, line.fate): line.rows for line in plan.lines}
    assert fates["sync.users", Fate.REMOVED] == 1
    assert fates["sync.sessions", Fate.REMOVED] == 1
    assert fates["sync.audit_details", Fate.REMOVED] == 1
    assert fates["sync.webhook_deliveries", Fate.PSEUDONYMIZED] == 1
    assert fates["zammad.agents", Fate.PSEUDONYMIZED] == 1
    assert fates["zammad.time_accountings", Fate.KEPT] == 3
    assert fates["sync.pushes", Fate.KEPT] == 2
    assert all(line.why.endswith(".") for line in plan.lines)
    assert any("Zammad lists them as active" in warning for warning in plan.warnings)


def test_a_plan_is_the_same_until_something_changes_and_changes_nothing_itself(known: World, runtime: Runtime) -> None:
    first, second = (erasure.plan_erasure(runtime, EMAIL) for _ in range(2))
    known.execute("UPDATE zammad.organizations SET name = :name", name=NAME)
    third = erasure.plan_erasure(runtime, EMAIL)
    assert (first == second, first.hash == third.hash) == (True, False)


def test_a_plan_that_is_no_longer_true_is_not_carried_out(known: World, runtime: Runtime) -> None:
    plan = erasure.plan_erasure(runtime, EMAIL)
    before = naming(runtime)
    known.execute("INSERT INTO sync.sessions (id, user_id, refresh_hash, expires_at) VALUES ('t', 1, '', now())")
    with pytest.raises(StaleError, match="Look at the plan again"):
        erasure.erase(runtime, EMAIL, plan.hash, ADMIN)
    assert naming(runtime) == before


def test_the_only_admin_is_not_erased(known: World, runtime: Runtime) -> None:
    known.execute("UPDATE sync.users SET active = false WHERE id = 2")
    plan = erasure.plan_erasure(runtime, EMAIL)
    assert any("only admin" in warning for warning in plan.warnings)
    with pytest.raises(StaleError, match="the only one"):
        erasure.erase(runtime, EMAIL, plan.hash, ADMIN)
    assert known.value("SELECT count(*) FROM sync.users") == 2


def test_failed_sign_ins_by_the_address_are_removed(known: World, runtime: Runtime) -> None:
    known.execute(
        "INSERT INTO sync.failed_logins (account_hash, address) VALUES (:hers, '10.0.0.7'), ('other', '10.0.0.7')",
        hers=account_hash(runtime, EMAIL),
    )
    erase(runtime)
    assert known.value("SELECT array_agg(account_hash) FROM sync.failed_logins") == ["other"]


def test_others_keep_their_names(known: World, runtime: Runtime) -> None:
    erase(runtime)
    assert known.value("SELECT count(*) FROM sync.normalized_entries WHERE user_email = 'ben@example.com'") == 1
    assert known.value("SELECT name FROM sync.users") == "Boss"


def test_an_erased_person_is_not_known_any_more(runtime: Runtime) -> None:
    erase(runtime)
    with pytest.raises(UnknownError, match="nothing is stored"):
        erasure.plan_erasure(runtime, EMAIL)


def test_somebody_who_was_typed_in_again_is_erased_again_under_the_same_pseudonym(
    known: World, runtime: Runtime
) -> None:
    first = erase(runtime)
    known.execute("INSERT INTO sync.user_mappings (email, kimai_user_id) VALUES (:email, 3)", email=EMAIL)
    assert erase(runtime) == first
    assert known.value("SELECT count(*) FROM sync.user_mappings") == 1


def test_the_export_holds_everything_and_no_secret(known: World, runtime: Runtime) -> None:
    files = unpacked(runtime)
    entries = files["sync/normalized_entries.json"]
    assert {"zammad/agents.json", "kimai/users.json", "kimai/timesheets.json", "sync/writes.json"} <= set(files)
    assert {"sync/user_mappings.json", "sync/conflicts.json", "sync/audit_details.json"} <= set(files)
    assert {row["user_email"] for row in entries} == {EMAIL}
    assert [row["email"] for row in files["sync/users.json"]] == [EMAIL]
    assert EMAIL in files["README.txt"]
    assert "sync/normalized_entries.json: 3" in files["README.txt"]
    assert '"s3"' not in json.dumps(files)
    assert known.value("SELECT token_encrypted FROM sync.connectors LIMIT 1") not in json.dumps(files)


def test_the_export_holds_what_was_adjusted_of_the_person_s_bookings(known: World, runtime: Runtime) -> None:
    known.execute(
        """
        INSERT INTO sync.adjustments (
            connector, source_id, original_day, original_month, minutes, reason, entry_date, begin_at, user_id,
            project_number, activity_id, facts_hash, decided_by, decided_at, state
        ) SELECT 'zammad', id::text, work_day, date_trunc('month', work_day), -15, 'The booking is gone.', work_day,
            now(), 1, 'ZO7', 20, 'f', 'user:2', now(), 'open'
        FROM zammad.time_accountings
        """
    )
    entries = unpacked(runtime)["sync/normalized_entries.json"]
    adjusted = {row["source_id"] for row in unpacked(runtime)["sync/adjustments.json"]}
    assert adjusted == {row["source_id"] for row in entries}


def test_an_export_is_noted_without_a_name(known: World, runtime: Runtime) -> None:
    unpacked(runtime)
    query = "SELECT l.subject || ' ' || d.detail::text FROM sync.audit_logs l JOIN sync.audit_details d USING (id) "
    noted = known.value(query + "WHERE event = 'privacy.exported'")
    assert noted.startswith("person ")
    assert EMAIL not in noted


@pytest.mark.parametrize("email", ["", "anna", "a@b@c", "a b@example.com", "@example.com"])
def test_what_is_no_address_is_refused(runtime: Runtime, email: str) -> None:
    with pytest.raises(OperationError, match="is not an e-mail address"):
        erasure.plan_erasure(runtime, email)


def test_of_strangers_there_is_nothing(runtime: Runtime) -> None:
    with pytest.raises(UnknownError, match="nothing is stored about nobody@"):
        erasure.export(runtime, "nobody@example.com", ADMIN)


def test_what_rules_read_of_a_ticket_is_redacted_and_seen_as_unchanged(runtime: Runtime) -> None:
    erase(runtime)
    with runtime.database.transaction() as connection:
        seen = next(iter(tickets.tickets_of_days(connection, "zammad", MONDAY, MONDAY).values()))
        seen = replace(seen, attributes={"field:contact": [{"id": EMAIL, "name": NAME}]})
        tickets.save_tickets(connection, "zammad", [seen])
        stored = tickets.tickets_of_days(connection, "zammad", MONDAY, MONDAY)[seen.id]
        assert EMAIL not in str(stored.attributes)
        assert NAME not in str(stored.attributes)
        assert tickets.reassigned(connection, "zammad", [seen]) == []
