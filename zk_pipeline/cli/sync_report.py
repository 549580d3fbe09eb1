"""What a sync did: the counts that commands show, without importing Dagster."""

from dataclasses import dataclass
from datetime import date
from typing import Any


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync of some days did. `conflicts` and `parked` are what is open now; requests include retries.

    `outcomes` tells what has become of each entry, also by other runs meanwhile (`store.summaries.OUTCOMES`).
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
        """How many entries the days have; the outcomes add up to it."""
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
