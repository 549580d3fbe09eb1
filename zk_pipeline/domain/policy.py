"""The rules that an operator can choose: unit, zone, placement, description, tags, projects."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from decimal import Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

from zk_pipeline.domain.attributes import OF_EVERY_SOURCE, ORGANIZATION, TYPE, Rule

DEFAULT_DESCRIPTION = "Ticket {ticket_number}: {title}"
DESCRIPTION_FIELDS: tuple[str, ...] = (
    "ticket_number",
    "title",
    "organization",
    "customer",
    "activity",
    "agent",
    "source_id",
    "note",
)


class Placement(StrEnum):
    """Where on its day a booking is placed; the source only knows when it was typed (docs/zammad.md §11)."""

    START = "start"
    END = "end"
    SEQUENTIAL = "sequential"


class ProjectStrategy(StrEnum):
    """Which project of the target a booking goes to."""

    PER_CUSTOMER = "per_customer"
    PER_TICKET = "per_ticket"
    PER_GROUP = "per_group"
    FIXED = "fixed"


@dataclass(frozen=True, slots=True)
class Policy:
    """How bookings become entries. `zone` is the business zone, which decides the work day of a booking.

    `minutes_per_unit` gives the source's unitless number a meaning (docs/zammad.md §4). `day_start` is local time, for
    sequential placement. `description` is a template with `DESCRIPTION_FIELDS`. `delete_unwanted` deletes a time sheet
    whose booking is gone without asking a person. `activity_rules` and `customer_rules` say, in order, which
    attribute of a ticket decides them.
    """

    zone: ZoneInfo
    minutes_per_unit: Decimal = Decimal(1)
    placement: Placement = Placement.START
    grid_minutes: int = 15
    day_start: time = time(8, 0)
    description: str = DEFAULT_DESCRIPTION
    tags: tuple[str, ...] = ("zammad", "synced")
    project_strategy: ProjectStrategy = ProjectStrategy.PER_CUSTOMER
    fixed_project: str = ""
    fallback_customer: str = "Without organization"
    adopt_by_name: bool = False
    delete_unwanted: bool = False
    activity_rules: tuple[Rule, ...] = (Rule(TYPE),)
    customer_rules: tuple[Rule, ...] = (Rule(ORGANIZATION),)

    @property
    def attributes(self) -> frozenset[str]:
        """The attributes that a connector has to give for the rules."""
        rules = (*self.activity_rules, *self.customer_rules)
        return frozenset(rule.key for rule in rules) - OF_EVERY_SOURCE


@dataclass(frozen=True, slots=True)
class Policies:
    """Today's policy, and those of earlier recorded settings by id."""

    today: Policy
    former: Mapping[int, Policy] = field(default_factory=dict[int, Policy])

    def of(self, decided_id: int | None) -> Policy:
        """The policy that something was derived with, or is derived with now."""
        return self.today if decided_id is None else self.former.get(decided_id, self.today)
