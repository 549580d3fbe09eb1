"""The accounts of billed bookings: what time sheet, adjustments and credits hold of each, and what is owed still."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from zk_pipeline.domain import adjustments
from zk_pipeline.domain.adjustments import Adjustment, Holding, Owed, Side
from zk_pipeline.domain.decision import Action, Status
from zk_pipeline.domain.entries import Entry, stable_hash
from zk_pipeline.domain.ledger import Desired, LedgerRow
from zk_pipeline.domain.mapping import Assignment, Resolver
from zk_pipeline.domain.plan import Result
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.records import Timesheet


class Accounts:
    """Tells what billed bookings owe, with the mappings as they are now."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    def owed(
        self,
        source_id: str,
        day: date,
        sheet: Timesheet | None,
        made: Sequence[Adjustment],
        wanted: tuple[Entry, Desired] | None = None,
        ledger: LedgerRow | None = None,
    ) -> Owed:
        """What a booking owes of which `sheet` was billed and these adjustments were made.

        Of a time sheet that was written counts what was asked for: the target's rounding is neither credited nor billed
        again (docs/billing.md).
        """
        adjusted = [self._holding(adjustment) for adjustment in made]
        rounding = ledger.rounding_of(sheet) if ledger is not None and sheet is not None else 0
        held = [*_billed(sheet, rounding), *adjusted]
        entry, desired = wanted or (None, None)
        wish = Holding(_side(desired), desired.seconds) if desired else None
        return Owed(
            source_id,
            sheet.id if sheet else None,
            day,
            adjustments.why(wish, held),
            adjustments.owed(wish, held),
            adjustments.owed(wish, [*_billed(sheet), *adjusted]),
            entry,
        )

    def _holding(self, adjustment: Adjustment) -> Holding:
        """What an adjustment holds. Its own entry follows the mappings, as every entry does; a credit stays put."""
        holding = adjustment.holding
        if holding.seconds > 0 and adjustment.original is not None:
            found = self._resolver.resolve(adjustments.entry_of(adjustment, adjustment.original))
            if isinstance(found, Assignment):
                side = Side(found.user.id, found.project.id, found.project.number, found.activity.id)
                return replace(holding, side=side)
        if holding.side.project_id is None:
            made = self._resolver.project_id(holding.side.project_number)
            return replace(holding, side=replace(holding.side, project_id=made))
        return holding


def with_owed(line: Result, owed: Owed, made: Sequence[Adjustment], kept: str = "") -> Result:
    """The line of a billed booking with what it owes; once that is made up for, nothing is left to do.

    `kept` is the hash of the facts under which a person wrote the difference off.
    """
    facts_hash = line.facts_hash
    if made:
        # A time sheet that is kept counts as it is from then on; the decision stands all the same.
        amounts = [(str(amount.side.key), amount.seconds) for amount in owed.with_rounding]
        facts = {"line": line.facts_hash, "made": [adjustment.id for adjustment in made], "owed": amounts}
        facts_hash = stable_hash(facts)
    even = not owed.amounts and (made or line.status is Status.ORPHANED)
    if even or (made and kept == facts_hash):
        text = " ".join(f"{adjustment.minutes.normalize():+f} min on {adjustment.entry_date}." for adjustment in made)
        return replace(
            line, status=Status.IN_SYNC, action=Action.NONE, reason=Reason.ADJUSTED, text=text, facts_hash=facts_hash
        )
    text = " ".join(part for part in (line.text, owed.text) if part)
    return replace(line, text=text, owed=owed, facts_hash=facts_hash)


def _billed(sheet: Timesheet | None, rounding: int = 0) -> list[Holding]:
    """What a billed time sheet holds, less the target's rounding."""
    if sheet is None:
        return []
    side = Side(sheet.user_id, sheet.project_id, "", sheet.activity_id)
    return [Holding(side, sheet.duration_seconds - rounding)]


def _side(desired: Desired) -> Side:
    return Side(desired.user_id, desired.project_id, desired.project_number, desired.activity_id)
