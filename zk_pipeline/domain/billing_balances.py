"""Balances of billed bookings: what their time sheets, adjustments and credits cover, and what is still owed."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

from zk_pipeline.domain import adjustments
from zk_pipeline.domain.adjustments import Adjustment, Charge, OutstandingAdjustment, Posting, PostingKey, in_minutes
from zk_pipeline.domain.decision import Action, Status
from zk_pipeline.domain.entries import Entry, stable_hash
from zk_pipeline.domain.instants import whole_seconds
from zk_pipeline.domain.ledger import Desired
from zk_pipeline.domain.mapping import Assignment, Resolver
from zk_pipeline.domain.plan import DayInputs, PlanLine
from zk_pipeline.domain.policy import Policy
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.records import Timesheet
from zk_pipeline.domain.rounding import Forecast


class BillingBalances:
    """Calculates what billed bookings owe under the current mappings."""

    def __init__(self, resolver: Resolver, policy: Policy) -> None:
        self._resolver = resolver
        self._policy = policy

    def owed(
        self,
        source_id: str,
        day: date,
        sheet: Timesheet | None,
        inputs: DayInputs,
        wanted: tuple[Entry, Desired] | None = None,
    ) -> OutstandingAdjustment:
        """What a booking owes whose time sheet `sheet` was billed, given the adjustments made so far.

        The billed time counts as the target shows it, with rounding; the wanted time counts as the target would round
        it.
        """
        made = inputs.adjusted.get(source_id, ())
        held = [*_billed(sheet), *(self._holding(adjustment) for adjustment in made)]
        charges = self._charges(sheet, made, inputs)
        if wanted is None:
            amounts = adjustments.outstanding_postings(None, held)
            home = held[0].side.key if held else None
            return OutstandingAdjustment(
                source_id,
                sheet.id if sheet else None,
                day,
                adjustments.outstanding_reason(None, held),
                amounts,
                amounts,
                _surplus(home, sheet, made),
                charges=charges,
            )
        entry, desired = wanted
        forecast = inputs.forecast(source_id)
        possible = forecast.billed(desired.begin, desired.seconds)
        exact = Posting(_side(desired), desired.seconds)
        target = replace(exact, seconds=possible[0])
        amounts = adjustments.outstanding_postings(target, held)
        return OutstandingAdjustment(
            source_id,
            sheet.id if sheet else None,
            day,
            adjustments.outstanding_reason(target, held, desired.seconds),
            amounts,
            adjustments.outstanding_postings(exact, held),
            _surplus(exact.side.key, sheet, made) - desired.seconds,
            self._doubt(amounts, possible, forecast, inputs),
            entry,
            charges,
        )

    def _doubt(self, amounts: Sequence[Posting], possible: Sequence[int], forecast: Forecast, inputs: DayInputs) -> str:
        """What a person must know besides the amounts: that Kimai may bill something other than what is adjusted."""
        parts: list[str] = []
        if not forecast.rules:
            parts.append("How Kimai rounds is not known.")
        if len(possible) > 1:
            others = " or ".join(in_minutes(seconds) for seconds in possible[1:])
            parts.append(f"By what is known of Kimai's rounding it may also bill {others} min for the booking.")
        for amount in amounts:
            if amount.seconds <= 0:
                continue
            begin = datetime.combine(inputs.today, self._policy.day_start, tzinfo=self._policy.zone)
            made = forecast.billed(begin, amount.seconds)[0]
            if made != amount.seconds:
                parts.append(f"Kimai would round the {in_minutes(amount.seconds)} min to {in_minutes(made)}.")
            rate = inputs.fixed_rate(amount.side.project_id)
            if rate is not None:
                parts.append(
                    f"The project has a fixed rate: a time sheet of {in_minutes(amount.seconds)} min costs "
                    f"{rate.normalize():f} once more, whatever its length."
                )
        return " ".join(parts)

    def _charges(self, sheet: Timesheet | None, made: Sequence[Adjustment], inputs: DayInputs) -> tuple[Charge, ...]:
        """What is charged for a billed time sheet and its adjustments.

        Only answers to writes show whether a rate is fixed. A time sheet that costs nothing and was not exported yet
        may only lack its rate.
        """
        charges = [replace(adjustment.charge, side=self._holding(adjustment).side) for adjustment in made]
        if sheet is not None:
            side = PostingKey(sheet.user_id, sheet.project_id, "", sheet.activity_id)
            bases = (row.base for row in inputs.ledger.values() if row.base is not None)
            fixed = any(base.id == sheet.id and base.fixed_rate is not None for base in bases)
            amount = sheet.rate if sheet.billable else Decimal(0)
            unpriced = sheet.billable and not sheet.rate and sheet.duration_seconds and not sheet.exported
            charges.append(Charge(side, sheet.duration_seconds, None if unpriced else amount, fixed))
        return tuple(charges)

    def _holding(self, adjustment: Adjustment) -> Posting:
        """The posting of an adjustment. Its own entry follows the current mappings; a credit keeps its key."""
        holding = adjustment.holding
        if holding.seconds > 0 and adjustment.original is not None:
            found = self._resolver.resolve(adjustments.entry_of(adjustment, adjustment.original))
            if isinstance(found, Assignment):
                side = PostingKey(found.user.id, found.project.id, found.project.number, found.activity.id)
                return replace(holding, side=side)
        if holding.side.project_id is None:
            made = self._resolver.project_id(holding.side.project_number)
            return replace(holding, side=replace(holding.side, project_id=made))
        return holding


def with_owed(line: PlanLine, owed: OutstandingAdjustment, inputs: DayInputs) -> PlanLine:
    """The line of a billed booking with what it owes; once that is adjusted, nothing is left to do.

    A difference that a person wrote off stays written off while the facts are the same. A time sheet that the ledger
    does not know is linked, or asked about if it cannot be linked.
    """
    made, ledger = inputs.adjusted.get(owed.source_id, ()), inputs.ledger.get(owed.source_id)
    facts_hash = line.facts_hash
    if made:
        # A time sheet that is kept counts as it is from now on; the decision stays.
        amounts = [(str(amount.side.key), amount.seconds) for amount in owed.unrounded]
        facts = {"line": line.facts_hash, "made": [adjustment.id for adjustment in made], "owed": amounts}
        facts_hash = stable_hash(facts)
    rounded_alike = set(line.diff) == {"duration"} and not owed.doubt
    even = not owed.amounts and (made or line.status is Status.ORPHANED or rounded_alike)
    kept = made and ledger is not None and ledger.facts_hash == facts_hash
    is_bound = owed.kimai_id is None or inputs.bound_to(owed.source_id) == owed.kimai_id
    if (even or kept) and (is_bound or line.draft is not None):
        parts = [f"{adjustment.minutes.normalize():+f} min on {adjustment.entry_date}." for adjustment in made]
        return replace(
            line,
            status=Status.IN_SYNC,
            action=Action.NONE if is_bound else Action.LINK,
            reason=Reason.ADJUSTED,
            text=" ".join(parts) or owed.reason,
            facts_hash=facts_hash,
            rounding_minutes=Decimal(owed.rounding) / 60,
        )
    text = " ".join(part for part in (line.text, owed.text) if part)
    return replace(line, text=text, owed=owed, facts_hash=facts_hash)


def _surplus(home: tuple[int, int | str, int] | None, sheet: Timesheet | None, made: Sequence[Adjustment]) -> int:
    """Seconds of time sheet and adjustments on one key; adjustments count as decided, before the target's rounding."""
    decided = [Posting(adjustment.side, whole_seconds(adjustment.minutes)) for adjustment in made]
    return sum(holding.seconds for holding in [*_billed(sheet), *decided] if holding.side.key == home)


def _billed(sheet: Timesheet | None) -> list[Posting]:
    if sheet is None:
        return []
    return [Posting(PostingKey(sheet.user_id, sheet.project_id, "", sheet.activity_id), sheet.duration_seconds)]


def _side(desired: Desired) -> PostingKey:
    return PostingKey(desired.user_id, desired.project_id, desired.project_number, desired.activity_id)
