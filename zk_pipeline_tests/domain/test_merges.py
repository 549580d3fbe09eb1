"""The offer to bill a booking as the ticket into which its own was merged."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from zk_pipeline.domain.decision import Action
from zk_pipeline.domain.plan import SurvivingTicket
from zk_pipeline.domain.policy import ProjectStrategy
from zk_pipeline.domain.reasons import Reason
from zk_pipeline_tests.domain.builders import POLICY, entry, inputs, reconciler


def survivor(**changes: Any) -> SurvivingTicket:
    return replace(SurvivingTicket("50001", "77", "60", "50002", "Fuser", "8", "Globex", None, "1", "Users"), **changes)


def test_a_booking_of_a_merged_ticket_is_offered_to_the_surviving_one_and_carried_over_meanwhile():
    here = entry()
    line, offer = reconciler().day(replace(inputs(here), survivors={here.source_id: survivor()}))
    assert line == reconciler().day(inputs(here))[0]
    assert (offer.key, offer.action, offer.reason) == (f"merge:{here.source_id}", Action.REVIEW, Reason.MERGED_TICKET)
    assert offer.minutes == 0
    assert offer.text == (
        "Ticket #50001 was merged into #50002: article 77, with which time was booked, lies there now. "
        f"15 minutes of this booking are booked on {here.ticket_number} for {here.organization_name}; "
        "#50002 belongs to Globex."
    )


def test_a_booking_that_the_surviving_ticket_would_bill_alike_is_not_asked_about():
    here = entry()
    same = survivor(organization_id=here.organization_id, organization_name=here.organization_name)
    assert len(reconciler().day(replace(inputs(here), survivors={here.source_id: same}))) == 1
    per_ticket = reconciler(policy=replace(POLICY, project_strategy=ProjectStrategy.PER_TICKET))
    assert len(per_ticket.day(replace(inputs(here), survivors={here.source_id: same}))) == 2


def test_a_kept_offer_stays_kept_until_either_ticket_goes_to_somebody_else():
    here = entry()
    plans = [
        reconciler().day(replace(inputs(row), survivors={here.source_id: there}))[1].facts_hash
        for row, there in (
            (here, survivor()),
            (replace(here, time_minutes=Decimal(45)), survivor(title="Another", article_id="78")),
            (here, survivor(organization_id="9")),
            (replace(here, organization_id="9"), survivor()),
            (here, survivor(ticket_id="61")),
        )
    ]
    assert plans[0] == plans[1]
    assert len(set(plans)) == 4
