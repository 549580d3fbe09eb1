"""Checks of stored data: mappings, the unit of bookings, and the vital signs."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from sqlalchemy import make_url, text

from zk_pipeline.connectors.checks import Finding
from zk_pipeline.connectors.contract import Endpoint
from zk_pipeline.connectors.zammad.connector import ZammadConnector
from zk_pipeline.domain.entries import SyncStatus
from zk_pipeline.domain.mapping import AssignmentProblem
from zk_pipeline.domain.plausibility import Fit, judge_unit, plain
from zk_pipeline.domain.reasons import EXPLANATIONS, Reason
from zk_pipeline.domain.vital_figures import Level, size_text
from zk_pipeline.observe.doctor import systems
from zk_pipeline.observe.doctor.report import DAYS, Installation
from zk_pipeline.observe.measurements import measure_once
from zk_pipeline.store import quality

# Agents and activity types with bookings in the last 62 days and without mapping.

_NAMED = 5


def examine_mappings(installation: Installation) -> Iterator[Finding]:
    """Resolve agent and type of each stored entry as a run would."""
    resolver = installation.resolver
    entries = [entry for entry in installation.entries if entry.sync_status is not SyncStatus.EXCLUDED]
    if not entries:
        yield Finding(
            "mappings",
            Level.WARN,
            f"Mappings cannot be checked: no bookings of the last {DAYS} days have been read.",
            "Read some days: zk sync --plan --from DAY --to DAY",
        )
        return
    agents: Counter[str] = Counter()
    types: Counter[str] = Counter()
    for entry in entries:
        if isinstance(resolver.user(entry), AssignmentProblem):
            agents[entry.user_email or entry.user_name] += 1
        if isinstance(resolver.activity(entry), AssignmentProblem):
            types[entry.activity_name or "(no type)"] += 1
    yield _finding("agents", "agents", agents, Reason.UNMAPPED_USER)
    yield _finding("activity types", "activity types", types, Reason.UNMAPPED_ACTIVITY)


def _finding(subject: str, what: str, unmapped: Counter[str], reason: Reason) -> Finding:
    if not unmapped:
        return Finding(subject, Level.PASS, f"All {what} with bookings in the last {DAYS} days are mapped.")
    named = ", ".join(f"{name} ({number})" for name, number in unmapped.most_common(_NAMED))
    more = f" and {len(unmapped) - _NAMED} more" if len(unmapped) > _NAMED else ""
    text = f"{unmapped.total()} bookings of {len(unmapped)} {what} without mapping: {named}{more}."
    return Finding(subject, Level.WARN, text, EXPLANATIONS[reason].next_step)


# ZK_MINUTES_PER_UNIT against Zammad's label and the values of bookings.

_LEVELS = {Fit.FITS: Level.PASS, Fit.UNKNOWN: Level.PASS, Fit.DOUBTFUL: Level.WARN, Fit.CONTRADICTED: Level.FAIL}


def examine_units(installation: Installation) -> Iterator[Finding]:
    """Check ZK_MINUTES_PER_UNIT against stored bookings, or else the newest ones in Zammad."""
    with installation.reached_source() as connector:
        endpoint = connector.endpoint if isinstance(connector, ZammadConnector) else None
    label = systems.unit_label(endpoint) if endpoint else None
    values = _stored(installation) or _newest(endpoint)
    judgement = judge_unit(values, installation.runtime.settings.minutes_per_unit, label)
    level = _LEVELS[judgement.fit]
    yield Finding("minutes per unit", level, judgement.text, "" if level is Level.PASS else _remedy(judgement.proposal))


def _stored(installation: Installation) -> list[Decimal]:
    with installation.runtime.database.transaction() as connection:
        return quality.newest_units(connection, installation.source_name, systems.NEWEST)


def _newest(endpoint: Endpoint | None) -> list[Decimal]:
    return systems.newest_units(endpoint) if endpoint else []


def _remedy(proposal: Decimal | None) -> str:
    if proposal is None:
        return "Ask the agents which unit they book in, and set ZK_MINUTES_PER_UNIT to its minutes."
    return (
        f"Ask the agents which unit they book in. If this is right, set ZK_MINUTES_PER_UNIT={plain(proposal)}"
        " and run zk rederive for stored bookings."
    )


# The vital signs, measured once, and the sizes of the databases.

_SIZES = text(
    """
    SELECT datname, pg_database_size(datname) FROM pg_database
    WHERE datname = ANY(:names) AND has_database_privilege(datname, 'CONNECT') ORDER BY datname
    """
)


def examine_signs(installation: Installation) -> Iterator[Finding]:
    """Everything in `/api/health`, with details."""
    with measure_once(installation.runtime) as signs:
        for sign in signs:
            yield Finding(sign.title, sign.level, sign.sentence, sign.remedy)
    yield _sizes(installation)


def _sizes(installation: Installation) -> Finding:
    settings = installation.runtime.settings
    urls = [secret.get_secret_value() for secret in (settings.database_url, settings.dagster_url) if secret]
    names = [make_url(url).database for url in urls]
    with installation.runtime.database.transaction() as connection:
        sizes = connection.execute(_SIZES, {"names": names}).all()
    return Finding("sizes", Level.PASS, ", ".join(f"{name} {size_text(number)}" for name, number in sizes) + ".")
