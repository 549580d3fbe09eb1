"""Decisions about conflicts: one, or many at once, and what many would write before anybody takes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from zk_pipeline.domain.decision import Action, Status
from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.locks import first_open_day
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.resolutions import EFFECTS, Choice, outcome
from zk_pipeline.operations.actors import Actor
from zk_pipeline.operations.errors import StaleError, UnknownError
from zk_pipeline.runtime import Runtime
from zk_pipeline.store import conflict_lists, conflicts
from zk_pipeline.store.addresses import addresses
from zk_pipeline.store.conflict_lists import Filter, Group
from zk_pipeline.store.conflicts import DecisionError, UnknownConflictError

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision that was taken; the pipeline carries it out with the next run of the day, which is asked for."""

    id: int
    choice: Choice
    day: date


@dataclass(frozen=True, slots=True)
class Left:
    """A conflict that was not decided, and why."""

    id: int
    why: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of deciding many: each on its own, so that one that cannot be decided stops nobody else."""

    choice: Choice
    decided: tuple[Decided, ...]
    left: tuple[Left, ...]

    @property
    def days(self) -> tuple[date, ...]:
        """The days that are asked for."""
        return tuple(sorted({row.day for row in self.decided}))


@dataclass(frozen=True, slots=True)
class Preview:
    """What a decision about many conflicts would do: `conflicts` in all, of which `left` could not be decided so.

    `minutes` are those of the creates and updates. `adjusts` are the conflicts whose difference the pipeline books as a
    new time sheet or puts on the credit list; how many minutes that is, their own text tells. `digest` stands for this
    list and its facts: whoever decides about a filter names the one that they saw.
    """

    choice: Choice
    effect: str
    conflicts: int
    left: int
    creates: int
    updates: int
    links: int
    deletes: int
    adjusts: int
    minutes: Decimal
    digest: str


def decide(
    runtime: Runtime,
    actor: Actor,
    conflict_id: int,
    choice: Choice,
    *,
    timesheet_id: int | None = None,
    booking_id: int | None = None,
    seen: str | None = None,
    one_of_many: bool = False,
) -> Decided:
    """Decide about one conflict; `seen` is the hash of the facts that the person looked at.

    `timesheet_id` is the candidate to link, `booking_id` the one to reduce. As `one_of_many` nothing is adjusted that
    Kimai may bill otherwise: both amounts are for a person to weigh.

    Raises `UnknownError`, and `DecisionError` when somebody was faster, the facts changed, or it is not possible.
    """
    try:
        with runtime.database.transaction() as connection:
            row = conflicts.decide(
                connection,
                conflict_id,
                choice,
                actor=actor.name,
                timesheet_id=timesheet_id,
                booking_id=booking_id,
                seen=seen,
                address=actor.address,
                one_of_many=one_of_many,
            )
    except UnknownConflictError as error:
        raise UnknownError(str(error)) from error
    return Decided(row.id, choice, row.entry_date)


def reopen(runtime: Runtime, actor: Actor, conflict_id: int) -> Decided:
    """Take back a decision that wrote nothing by itself, so that the question is asked again.

    Raises `UnknownError`, and `DecisionError` when there is nothing to take back.
    """
    try:
        with runtime.database.transaction() as connection:
            row = conflicts.reopen(connection, conflict_id, actor=actor.name, address=actor.address)
    except UnknownConflictError as error:
        raise UnknownError(str(error)) from error
    return Decided(row.id, Choice(row.decision), row.entry_date)


def decide_many(runtime: Runtime, actor: Actor, choice: Choice, seen: Mapping[int, str]) -> Outcome:
    """Decide about these conflicts alike, each in a transaction of its own; `seen` has the facts of each as shown."""
    decided: list[Decided] = []
    left: list[Left] = []
    for conflict_id, facts_hash in seen.items():
        try:
            decided.append(decide(runtime, actor, conflict_id, choice, seen=facts_hash, one_of_many=True))
        except (DecisionError, UnknownError) as error:
            left.append(Left(conflict_id, str(error)))
    return Outcome(choice, tuple(decided), tuple(left))


def decide_matching(runtime: Runtime, actor: Actor, choice: Choice, wanted: Filter, digest: str) -> Outcome:
    """Decide alike about all that a filter names, as they were shown by a preview of this digest.

    Raises `StaleError` when they are not the same any more.
    """
    with runtime.database.transaction() as connection:
        source = addresses(connection).source
        rows = conflict_lists.matching(connection, source, wanted)
        now = conflict_lists.digest(connection, source, wanted)
    if now != digest:
        raise StaleError("The conflicts of this filter changed since the preview. Look at the preview again.")
    return decide_many(runtime, actor, choice, {row.id: row.facts_hash for row in rows})


def preview(runtime: Runtime, choice: Choice, wanted: Filter) -> Preview:
    """What a decision about all that a filter names would write. Nothing is changed."""
    today = local_day(datetime.now(UTC), runtime.settings.zone)
    locked_before = first_open_day(runtime.settings.locked_before, today)
    with runtime.database.transaction() as connection:
        source = addresses(connection).source
        groups = conflict_lists.groups(connection, source, wanted, locked_before)
        digest = conflict_lists.digest(connection, source, wanted)
    actions = [(_action(group, choice), group) for group in groups]
    number = {action: sum(group.number for done, group in actions if done is action) for action in (None, *Action)}
    written = (group.minutes for action, group in actions if action in {Action.CREATE, Action.UPDATE})
    return Preview(
        choice=choice,
        effect=EFFECTS[choice],
        conflicts=sum(group.number for group in groups),
        left=number[None],
        creates=number[Action.CREATE],
        updates=number[Action.UPDATE],
        links=number[Action.LINK] if choice is Choice.LINK else 0,  # What is kept is linked too, and not written.
        deletes=number[Action.DELETE],
        adjusts=number[Action.NONE] if choice is Choice.ADJUST else 0,
        minutes=sum(written, ZERO),
        digest=digest,
    )


def _action(group: Group, choice: Choice) -> Action | None:
    """What is done about the conflicts of a group; which candidate or amount is meant is a question for each."""
    asks_each = choice is Choice.REDUCE or (choice is Choice.LINK and not group.bound)
    if asks_each or (choice is Choice.ADJUST and group.uncertain):
        return None
    reason, status = Reason(group.reason), Status(group.status)
    return outcome(reason, status, choice, drafted=group.drafted, closed=group.closed)
