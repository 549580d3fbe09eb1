"""What a push did, as counts that can be added up."""

from dataclasses import dataclass, fields
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class PushReport:
    """Entries by outcome, minutes written, and the master data made for them.

    `linked` were taken into the ledger without a write, `adopted` were found by their marker after an unknown outcome,
    `left` changed since they were planned and wait for the next run, `unapproved` wait for somebody's approval.
    """

    created: int = 0
    updated: int = 0
    deleted: int = 0
    linked: int = 0
    adopted: int = 0
    parked: int = 0
    failed: int = 0
    left: int = 0
    unapproved: int = 0
    minutes: Decimal = Decimal(0)
    customers: int = 0
    projects: int = 0
    problems: tuple[str, ...] = ()

    def __add__(self, other: "PushReport") -> "PushReport":
        return PushReport(
            **{field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(self)}
        )

    @property
    def carried_out(self) -> int:
        """How many lines of the plan were done."""
        return self.created + self.updated + self.deleted + self.linked + self.adopted

    def counts(self) -> dict[str, int]:
        """The whole numbers by name."""
        return {name: value for field in fields(self) if isinstance(value := getattr(self, name := field.name), int)}
