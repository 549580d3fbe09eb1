"""The result of a sync, without importing Dagster."""

from dataclasses import dataclass
from datetime import date
from typing import Any


@dataclass(frozen=True, slots=True)
class SyncReport:
    """The result of a sync. `conflicts` and `parked` are those open now; counts of requests include retries.

    `outcomes` counts the entries by outcome, including what other runs did meanwhile (`store.summaries.OUTCOMES`).
    """

    run_ids: tuple[str, ...]
    first: date
    last: date
    counts: dict[str, int]
    conflicts: int
    parked: int
    seconds: float
    outcomes: dict[str, int]

    @property
    def entries(self) -> int:
        """The number of entries: the sum of the outcomes."""
        return sum(self.outcomes.values())

    def to_json(self) -> dict[str, Any]:
        """The object that `zk sync --json` prints."""
        return {
            "run_id": self.run_ids[-1] if self.run_ids else None,
            "run_ids": list(self.run_ids),
            "days": (self.last - self.first).days + 1,
            "entries": self.entries,
            "outcomes": self.outcomes,
            "created": self.counts.get("created", 0),
            "updated": self.counts.get("updated", 0),
            "deleted": self.counts.get("deleted", 0),
            "linked": self.counts.get("linked", 0) + self.counts.get("adopted", 0),
            "in_sync": self.counts.get("in_sync", 0),
            "conflicts": self.conflicts,
            "parked": self.parked,
            "failed": self.counts.get("failed", 0),
            "seconds": round(self.seconds, 3),
            "requests": {
                "zammad": {"read": self.counts.get("zammad_read", 0)},
                "kimai": {"read": self.counts.get("kimai_read", 0), "write": self.counts.get("kimai_write", 0)},
            },
        }

    @property
    def needs_people(self) -> bool:
        """Whether something waits for a person."""
        return bool(self.conflicts or self.parked or self.counts.get("unapproved"))
