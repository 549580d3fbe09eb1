"""The asset checks on the chain and on stored data, and the job and schedule that run them."""

from collections.abc import Collection, Sequence
from datetime import date, timedelta
from decimal import Decimal

import dagster as dg

from zk_pipeline.defs.resources import ZkResource
from zk_pipeline.defs.run_history import PUSHES, ever_synced, failed_days, materialized_at
from zk_pipeline.domain.instants import days_between, local_day
from zk_pipeline.domain.periods import month_name, month_of
from zk_pipeline.domain.plausibility import Fit, judge_unit, plain
from zk_pipeline.domain.statement_rows import StatementItem
from zk_pipeline.observe.alert_delivery import alert_failure, alert_recovery
from zk_pipeline.observe.alerts import Failure
from zk_pipeline.observe.freshness import failed_sentence, stale_assets, stale_sentence, watched_days
from zk_pipeline.operate import schedules
from zk_pipeline.pipeline import unread_days
from zk_pipeline.runtime.links import alert_about
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.schedules import CATCH_UP, ScheduleError, SchedulePlan
from zk_pipeline.store import quality, statements
from zk_pipeline.store.connectors import active_connectors

# The checks that watch the chain, and their job and schedule; failures alert people.

DAYS_WATCHED = 62
FRESHNESS = "days_are_fresh"
FAILED_DAYS = "no_day_is_left_failed"


@dg.asset_check(asset=PUSHES, name=FRESHNESS)
def days_are_fresh(context: dg.AssetCheckExecutionContext, zk: ZkResource) -> dg.AssetCheckResult:
    """Every asset of the chain has today and yesterday, at least as of the last catch-up."""
    plan = _catch_up(zk.runtime)
    if not plan.on:
        return dg.AssetCheckResult(passed=True, description="The regular sync is off, so no day is due.")
    if not ever_synced(context.instance):
        return dg.AssetCheckResult(passed=True, description="No day was synced yet, so none can be stale.")
    days = watched_days(zk.now(), plan.zone, plan.days)
    behind = stale_assets(materialized_at(context.instance, days), days, plan.last_due(zk.now()), plan.zone)
    return check_result(
        context, zk, FRESHNESS, stale_sentence(behind, plan.zone) if behind else "", {row.day for row in behind}
    )


@dg.asset_check(asset=PUSHES, name=FAILED_DAYS)
def no_day_is_left_failed(context: dg.AssetCheckExecutionContext, zk: ZkResource) -> dg.AssetCheckResult:
    """No day of the last two months was left unfinished by a failed run, be it because it was never read."""
    today = local_day(zk.now(), zk.runtime.settings.zone)
    first = today - timedelta(days=DAYS_WATCHED - 1)
    failed = failed_days(context.instance, days_between(first, today))
    if not failed:
        return check_result(context, zk, FAILED_DAYS, "", ())
    unread = unread_days(zk.runtime, first, today)
    sentences = [f"{day}: {unread[day]}" for day in sorted(failed) if day in unread]
    return check_result(context, zk, FAILED_DAYS, " ".join((failed_sentence(failed), *sentences[:SHOWN])), failed)


watch = dg.define_asset_job(
    "watch",
    selection=dg.AssetSelection.checks(days_are_fresh, no_day_is_left_failed),
    description="Checks whether the chain is up to date, and alerts people if not. Reads only Dagster's records.",
)

watch_schedule = dg.ScheduleDefinition(
    name="watch",
    job=watch,
    cron_schedule="*/30 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Watches the chain every half hour.",
)


def _catch_up(runtime: Runtime) -> SchedulePlan:
    try:
        return next(plan for plan in schedules.list_plans(runtime) if plan.name == CATCH_UP)
    except ScheduleError as error:
        raise dg.Failure(description=str(error)) from error


def check_result(
    context: dg.AssetCheckExecutionContext,
    zk: ZkResource,
    name: str,
    sentence: str,
    days: Collection[date],
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    """The result of a check. Its failure alerts people like a failed run, from the first time on.

    The check alerts by itself, and its run succeeds: materializing an asset in Dagster's UI runs the checks too, and
    that run must not fail because of other days.
    """
    link = alert_about(zk.runtime.settings, context.run.run_id)
    if sentence:
        alert_failure(zk.runtime, Failure(name, sentence, sentence, tuple(sorted(days)), link))
    else:
        alert_recovery(zk.runtime, name, link)
    return dg.AssetCheckResult(
        passed=not sentence,
        severity=severity,
        description=sentence or None,
        metadata={"days": ", ".join(map(str, sorted(days)))},
    )


# The checks on stored data: reads, units, markers, mappings, requests and minutes, each with a remedy. They run after
# the marts are built. All but the balance alert people themselves and let their run succeed; the balance fails the run,
# because nothing may be billed or closed on it.

BOOKINGS = dg.AssetKey(["zammad", "time_accountings"])
TIMESHEETS = dg.AssetKey(["kimai", "timesheets"])
PLAN = dg.AssetKey(["sync", "reconciliation_results"])
ENTRIES = dg.AssetKey(["marts", "fct_time_entries"])

WHOLE = "plan_is_whole"
READS = "reads_are_complete"
UNITS = "units_are_plausible"
MARKERS = "markers_are_unique"
MAPPED = "bookings_are_mapped"
ANSWERED = "requests_are_answered"
BALANCED = "minutes_are_conserved"

WATCHED = timedelta(days=62)
UNDER_WAY = timedelta(hours=1)
"""A read that began later may still be running."""

UNITS_LOOKED_AT = 500
UNMAPPED_AT_MOST = Decimal("0.05")
ANSWERED_WITHIN = timedelta(hours=1)
SHOWN = 10
WARN = dg.AssetCheckSeverity.WARN
"""The severity of what may be meant so; the other checks say that something is wrong."""


@dg.asset_check(asset=BOOKINGS, name=READS)
def reads_are_complete(context: dg.AssetCheckExecutionContext, zk: ZkResource) -> dg.AssetCheckResult:
    """The last read of every window of the last two months was complete.

    If not, deletions in it go unnoticed. What to do: sync its days again, and look at Zammad if that does not help.
    """
    now = zk.now()
    with zk.runtime.database.transaction() as connection:
        source = zk.runtime.stored("source").name
        unread = quality.unread_windows(connection, source, now - WATCHED, now - UNDER_WAY)
    zone = zk.runtime.settings.zone
    days = {local_day(row.start, zone) for row in unread}
    sentences = [
        f"{local_day(row.start, zone)} to {local_day(row.end - timedelta(microseconds=1), zone)} was not read "
        f"completely: {row.reason or 'the read broke off.'}"
        for row in unread[:SHOWN]
    ]
    remedy = "Sync these days again (zk sync --from DAY --to DAY); if it fails again, run zk doctor."
    return check_result(context, zk, READS, _sentence(sentences, len(unread), remedy), days)


@dg.asset_check(asset=BOOKINGS, name=UNITS)
def units_are_plausible(context: dg.AssetCheckExecutionContext, zk: ZkResource) -> dg.AssetCheckResult:
    """The newest bookings fit `ZK_MINUTES_PER_UNIT`.

    If not, every amount in Kimai is wrong by the same factor. What to do: ask in which unit the agents book.
    """
    with zk.runtime.database.transaction() as connection:
        units = quality.newest_units(connection, zk.runtime.stored("source").name, UNITS_LOOKED_AT)
    judged = judge_unit(units, zk.runtime.settings.minutes_per_unit)
    wrong = judged.fit is Fit.CONTRADICTED
    remedy = "Ask in which unit the agents book, set ZK_MINUTES_PER_UNIT to its minutes, and run zk rederive."
    return check_result(context, zk, UNITS, f"{judged.text} {remedy}" if wrong else "", (), WARN)


@dg.asset_check(asset=TIMESHEETS, name=MARKERS)
def markers_are_unique(context: dg.AssetCheckExecutionContext, zk: ZkResource) -> dg.AssetCheckResult:
    """No booking's marker is in two current time sheets in Kimai.

    If one is, its time is billed twice. What to do: delete the copy in Kimai, or remove the marker from its text.
    """
    with zk.runtime.database.transaction() as connection:
        source, target = zk.runtime.stored("source").name, zk.runtime.stored("target").name
        doubled = quality.doubled_markers(connection, source, target)
    sentences = [
        f"Booking {booking} stands in the time sheets {', '.join(map(str, ids))}."
        for booking, ids in list(doubled.items())[:SHOWN]
    ]
    remedy = "Delete the copies in Kimai, or take the marker out of their text."
    return check_result(context, zk, MARKERS, _sentence(sentences, len(doubled), remedy), ())


@dg.asset_check(asset=PLAN, name=MAPPED)
def bookings_are_mapped(context: dg.AssetCheckExecutionContext, zk: ZkResource) -> dg.AssetCheckResult:
    """At most one in twenty bookings of the last two months waits for a mapping.

    If more do, they are missing in Kimai. What to do: map what `zk conflicts list` names, with `zk mappings set`.
    """
    first = local_day(zk.now() - WATCHED, zk.runtime.settings.zone)
    with zk.runtime.database.transaction() as connection:
        share = quality.unmapped_share(connection, zk.runtime.stored("target").name, first)
    too_many = share.part > share.whole * UNMAPPED_AT_MOST
    sentence = (
        f"{share.part} of {share.whole} bookings since {first} ({plain(share.minutes)} minutes) have no mapping. "
        "See which with zk conflicts list, and map them with zk mappings set."
    )
    return check_result(context, zk, MAPPED, sentence if too_many else "", (), WARN)


@dg.asset_check(asset=PLAN, name=WHOLE, blocking=True)
def plan_is_whole(zk: ZkResource) -> dg.AssetCheckResult:
    """The plan has each entry of the run's days once, with its minutes. If not, nothing is pushed.

    It cannot happen unless something changed the plan in the database, or the reconciliation has a defect.
    """
    run = zk.systems.run
    if run is None or run.span is None:
        return dg.AssetCheckResult(passed=True, description="Launched without days, so there is no plan to look at.")
    with zk.runtime.database.transaction() as connection:
        names = zk.runtime.stored("source").name, zk.runtime.stored("target").name
        gaps = quality.unplanned(connection, *names, *run.span)
    sentences = [
        f"Booking {gap.entry_key} of {gap.day}: {plain(gap.minutes)} minutes are not planned." for gap in gaps[:SHOWN]
    ]
    remedy = "Nothing was pushed. Sync these days again; if it stays so, report it with the log of the run."
    return dg.AssetCheckResult(
        passed=not gaps,
        severity=dg.AssetCheckSeverity.ERROR,
        description=_sentence(sentences, len(gaps), remedy) or None,
        metadata={"entries": len(gaps)},
    )


@dg.asset_check(asset=PUSHES, name=ANSWERED)
def requests_are_answered(context: dg.AssetCheckExecutionContext, zk: ZkResource) -> dg.AssetCheckResult:
    """No requested day waits longer than an hour for its run.

    If one does, changes in Zammad reach Kimai late. What to do: check that the sensor and the daemon are running.
    """
    with zk.runtime.database.transaction() as connection:
        waiting = quality.waiting_since(connection, ANSWERED_WITHIN)
    zone = zk.runtime.settings.zone
    sentences = [f"{day} waits since {since.astimezone(zone):%Y-%m-%d %H:%M}." for day, since in waiting.items()]
    remedy = "See in Dagster whether the sensor demand is on and its runs succeed, or sync the days by hand (zk sync)."
    return check_result(context, zk, ANSWERED, _sentence(sentences[:SHOWN], len(waiting), remedy), waiting)


@dg.asset_check(asset=ENTRIES, name=BALANCED, blocking=True)
def minutes_are_conserved(zk: ZkResource) -> dg.AssetCheckResult:
    """Every minute of Zammad is in Kimai or accounted for, entry by entry and through every stage.

    Time in Kimai of this and the last month that did not come from a ticket is listed too.

    If not, do not bill and do not close. What to do: sync the days that are named; if a gap stays, `zk trace` shows in
    which stage the booking changed.
    """
    with zk.runtime.database.transaction() as connection:
        found = quality.balance(connection, zk.runtime.stored("source").name, SHOWN)
        zone = zk.runtime.settings.zone
        this_month = month_of(local_day(zk.now(), zone))
        months = (month_of(this_month - timedelta(days=1)), this_month)
        names = active_connectors(connection)
        items = [(month, statements.read_items(connection, names, month, zone)) for month in months]
    sentences = [f"{gap.entry_key} of {gap.day}: {plain(gap.minutes)} minutes unexplained." for gap in found.gaps]
    if found.lost_in_netting:
        sentences.append(f"Corrections and what they correct differ by {plain(found.lost_in_netting)} minutes.")
    remedy = "Sync these days again (zk sync --from DAY --to DAY) and build the marts; then look at zk trace BOOKING."
    number = found.entries + bool(found.lost_in_netting)
    return dg.AssetCheckResult(
        passed=not number,
        severity=dg.AssetCheckSeverity.ERROR,
        description=_sentence(sentences, number, remedy) or None,
        metadata={"entries": found.entries, "what_to_do": remedy, "also_in_kimai": also_in_kimai(items)},
    )


of_stored_rows = (
    reads_are_complete,
    units_are_plausible,
    markers_are_unique,
    bookings_are_mapped,
    requests_are_answered,
)
"""The checks that read no mart."""


def also_in_kimai(items: Sequence[tuple[date, Sequence[StatementItem]]]) -> str:
    """The time sheets in Kimai that are not of their month's bookings, one finding per customer and month."""
    sentences = [
        f"{month_name(month)}, {row.customer}: {row.timesheets} time sheets, {plain(row.minutes)} minutes, "
        f"{row.origin.replace('_', ' ')}."
        for month, rows in items
        for row in sorted(statements.beside(rows), key=lambda row: (row.customer, row.origin))
    ]
    return "\n".join(sentences) or "Nothing."


def _sentence(sentences: Collection[str], number: int, remedy: str) -> str:
    """The findings with the remedy at the end; empty without findings."""
    if not sentences:
        return ""
    more = (f"And {number - len(sentences)} more.",) if number > len(sentences) else ()
    return " ".join((*sentences, *more, remedy))
