"""Rows with sensible values, of which a test names only what it is about."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from zk_pipeline.domain.entries import Entry, SyncStatus
from zk_pipeline.domain.ledger import Desired, LedgerRow, PushState
from zk_pipeline.domain.mapping import Mappings, Resolver
from zk_pipeline.domain.plan import DayInputs
from zk_pipeline.domain.policy import Policy
from zk_pipeline.domain.reconcile import Reconciler
from zk_pipeline.domain.records import (
    Activity,
    ActivityType,
    Agent,
    Customer,
    Organization,
    Project,
    SourceDirectory,
    TargetDirectory,
    TargetServer,
    TargetUser,
    Ticket,
    TimeAccounting,
    Timesheet,
)

DAY = date(2025, 8, 16)
ZONE_UTC = ZoneInfo("UTC")
BERLIN = ZoneInfo("Europe/Berlin")
POLICY = Policy(zone=ZONE_UTC)

ANNA = TargetUser(10, "anna", "anna@example.org", "Anna Agent", enabled=True, timezone="UTC")
BEN = TargetUser(11, "ben", "ben@example.org", "Ben Agent", enabled=True, timezone="UTC")
SUPPORT = Activity(20, "Support", None, None, visible=True)
TRAVEL = Activity(21, "Travel", None, None, visible=True)
ACME = Customer(30, "Acme", "zammad-org-7", visible=True)
ACME_PROJECT = Project(40, "Acme", "ZO7", ACME.id, visible=True, start=None, end=None, global_activities=True)
SERVER = TargetServer("2.36.0", 1, "sync", "UTC", "default", allow_future_times=True, allow_overlapping=True)
SOURCE_DIRECTORY = SourceDirectory(
    agents=(
        Agent("1", "anna", "anna@example.org", "Anna Agent", active=True),
        Agent("2", "ben", "ben@example.org", "Ben Agent", active=True),
    ),
    organizations=(Organization("7", "Acme", active=True),),
    activity_types=(ActivityType("3", "Support", active=True),),
)


def at(text: str) -> datetime:
    """An instant, in UTC unless the text says otherwise."""
    instant = datetime.fromisoformat(text)
    return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)


def booking(
    id_: int | str = 6, *, units: str = "15.0", created_at: str = "2025-08-16T08:11:49.315+00:00", **changes: Any
) -> TimeAccounting:
    """A booking of Anna's, the seeds' example."""
    row = TimeAccounting(str(id_), "50", None, Decimal(units), "3", "1", at(created_at), at(created_at), raw={})
    return replace(row, **changes)


def ticket(**changes: Any) -> Ticket:
    """Ticket #50 of Acme."""
    row = Ticket(
        "50",
        "50",
        "Printer on fire",
        "7",
        "5",
        "2",
        "Support",
        "Carl Customer",
        at("2025-08-16T08:00"),
        complete=True,
        raw={},
    )
    return replace(row, **changes)


def entry(source_id: str = "6", *, minutes: str = "15", begin: str = "2025-08-16T08:00", **changes: Any) -> Entry:
    """A pending entry of Anna's for ticket #50 of Acme."""
    begin_at = at(begin)
    row = Entry(
        source="zammad",
        source_id=source_id,
        ticket_number="#50",
        ticket_id="50",
        ticket_title="Printer on fire",
        description=f"Ticket #50: Printer on fire [zk-zammad-{source_id}]",
        booked_minutes=Decimal(minutes),
        time_minutes=Decimal(minutes),
        open_minutes=Decimal(0),
        activity_type_id="3",
        activity_name="Support",
        agent_id="1",
        user_email="anna@example.org",
        user_name="Anna Agent",
        organization_id="7",
        organization_name="Acme",
        customer_name="Carl Customer",
        group_id="2",
        group_name="Support",
        ticket_known=True,
        entry_date=begin_at.date(),
        begin_at=begin_at,
        end_at=begin_at + timedelta(minutes=float(minutes)),
        created_at=begin_at + timedelta(minutes=11, seconds=49, milliseconds=315),
        updated_at=begin_at + timedelta(minutes=11, seconds=49, milliseconds=315),
        tags=("zammad", "synced"),
        sync_status=SyncStatus.PENDING,
        trace={},
    )
    return replace(row, **changes)


def excluded(source_id: str = "6", *, booked: str = "0", **changes: Any) -> Entry:
    """An entry of which nothing is left to be carried over."""
    return entry(
        source_id, booked_minutes=Decimal(booked), time_minutes=Decimal(0), sync_status=SyncStatus.EXCLUDED, **changes
    )


def timesheet(id_: int = 100, *, begin: str = "2025-08-16T08:00", minutes: int = 15, **changes: Any) -> Timesheet:
    """A stopped time sheet of Anna's in Acme's project, typed by hand."""
    start = at(begin)
    row = Timesheet(
        id=id_,
        user_id=ANNA.id,
        project_id=ACME_PROJECT.id,
        activity_id=SUPPORT.id,
        begin=start,
        end=start + timedelta(minutes=minutes),
        duration_seconds=minutes * 60,
        description="",
        tags=(),
        exported=False,
        billable=True,
        raw={},
    )
    return replace(row, **changes)


def ours(id_: int = 100, source_id: str = "6", **changes: Any) -> Timesheet:
    """A time sheet with the marker of a booking."""
    return timesheet(id_, **{"description": f"Ticket #50: Printer on fire [zk-zammad-{source_id}]", **changes})


def desired(**changes: Any) -> Desired:
    """What the default entry wants."""
    row = Desired(ANNA.id, SUPPORT.id, ACME_PROJECT.id, "ZO7", at("2025-08-16T08:00"), 900)
    return replace(row, **changes)


def ledger_row(source_id: str = "6", **changes: Any) -> LedgerRow:
    """A confirmed write of the default entry as time sheet 100."""
    row = LedgerRow(source_id, PushState.CONFIRMED, 100, desired(), ours(100, source_id), "", "")
    return replace(row, **changes)


def target_directory(**changes: Any) -> TargetDirectory:
    """A Kimai with Anna, Ben, two activities, and Acme with its project."""
    row = TargetDirectory(SERVER, (ANNA, BEN), (ACME,), (ACME_PROJECT,), (SUPPORT, TRAVEL))
    return replace(row, **changes)


MAPPINGS = Mappings(activities={("3", None): SUPPORT.id})


def resolver(
    directory: TargetDirectory | None = None, mappings: Mappings = MAPPINGS, policy: Policy = POLICY
) -> Resolver:
    """A resolver of the default directory and mappings."""
    # Without agents, so that a test may give an entry whatever address it likes.
    source = replace(SOURCE_DIRECTORY, agents=())
    return Resolver(directory or target_directory(), mappings, policy, source, space="zammad")


def reconciler(policy: Policy = POLICY, **changes: Any) -> Reconciler:
    """A reconciler of the default directory, with changes to it."""
    return Reconciler("zammad", resolver(target_directory(**changes), policy=policy), policy)


def inputs(*entries: Entry, ledger: tuple[LedgerRow, ...] = (), **changes: Any) -> DayInputs:
    """The default day, with these entries."""
    row = DayInputs(
        day=DAY,
        entries=entries,
        timesheets=(),
        ledger={row.source_id: row for row in ledger},
        known_sources=frozenset(entry.source_id for entry in entries),
        gone=frozenset(),
        server=SERVER,
        today=DAY + timedelta(days=1),
    )
    return replace(row, **changes)
