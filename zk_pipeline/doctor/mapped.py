"""Mappings: agents and activity types with bookings in the last 62 days that nothing in Kimai belongs to."""

from collections import Counter
from collections.abc import Iterator

from zk_pipeline.connectors.checks import Finding
from zk_pipeline.doctor.installation import DAYS, Installation
from zk_pipeline.domain.entries import SyncStatus
from zk_pipeline.domain.mapping import Problem
from zk_pipeline.domain.reasons import EXPLANATIONS, Reason
from zk_pipeline.domain.vital_figures import Level

_NAMED = 5


def examine(installation: Installation) -> Iterator[Finding]:
    """Resolve the agent and the type of each stored entry as a run would now."""
    resolver = installation.resolver
    entries = [entry for entry in installation.entries if entry.sync_status is not SyncStatus.EXCLUDED]
    if not entries:
        yield Finding(
            "mappings",
            Level.WARN,
            f"No bookings of the last {DAYS} days were read yet, so nothing is known about their mappings.",
            "Read some and see what they lack: zk sync --plan --from DAY --to DAY",
        )
        return
    agents: Counter[str] = Counter()
    types: Counter[str] = Counter()
    for entry in entries:
        if isinstance(resolver.user(entry), Problem):
            agents[entry.user_email or entry.user_name] += 1
        if isinstance(resolver.activity(entry), Problem):
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
