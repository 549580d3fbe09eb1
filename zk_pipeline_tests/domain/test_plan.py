"""The plan's lines: how they are stored, identified and explained."""

from datetime import timedelta
from decimal import Decimal

import pytest

from zk_pipeline.domain.decision import Action, Status
from zk_pipeline.domain.mapping import CustomerPlan, ProjectPlan
from zk_pipeline.domain.normalize import TimeSpan
from zk_pipeline.domain.plan import Draft, PlanLine, sentence
from zk_pipeline.domain.reasons import EXPLANATIONS, Reason
from zk_pipeline_tests.domain.builders import DAY, at, desired


def line(reason: Reason | None = None, *, source_id: str | None = "6", text: str = "") -> PlanLine:
    return PlanLine(DAY, source_id, 100, Status.MISSING, Action.REVIEW, Decimal(15), reason, text)


def test_a_draft_comes_back_from_the_stored_plan_as_it_was():
    begin = at("2025-08-16T08:00")
    project = ProjectPlan(None, "ZO7", "Acme", CustomerPlan(None, "zammad-org-7", "Acme"))
    draft = Draft(desired(), TimeSpan(begin, begin + timedelta(minutes=15)), project, "Ticket #50", ("zammad",))
    assert Draft.from_json(draft.to_json()) == draft


def test_a_line_is_identified_by_its_entry_or_else_by_its_time_sheet():
    assert line().key == "6"
    assert line(source_id=None).key == "kimai:100"
    assert line(Reason.MARKER_CLONED).key == "kimai:100"


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_says_what_it_means_and_what_to_do(reason: Reason):
    explanation = EXPLANATIONS[reason]
    assert explanation.meaning.endswith(".")
    assert explanation.next_step.endswith((".", ")."))
    assert (
        sentence(line(reason, text="It is 8 h long."))
        == f"{explanation.meaning} It is 8 h long. {explanation.next_step}"
    )


def test_a_line_without_reason_says_only_its_text():
    assert sentence(line(text="Project Acme has ended.")) == "Project Acme has ended."
