"""Each sentence with which Kimai refuses a time sheet leads to what the operator does about it."""

import pytest

from zk_pipeline.connectors.kimai.errors import remedy_of

SENTENCES = [
    ("", "This period is locked. Please choose a later date.", "lockdown_override_timesheet"),
    ("", "This period is locked. Please choose a later date.", "Or adjust the booking"),
    ("", "The project is locked until 2025-08-31.", "Unlock the project in Kimai, or adjust the booking"),
    ("", "You already have an entry for this time.", "Move or shorten the user's other time sheet"),
    ("begin_date", "You already have an entry for this time.", "Move or shorten the user's other time sheet"),
    ("project", "The budget is used up.", "Raise the budget"),
    ("activity", "Sorry, the budget is used up.", "Raise the budget"),
    ("", "Maximum 8:00 hours allowed.", "Split the booking"),
    ("", "Maximum duration exceeded.", "Split the booking"),
    ("", "An empty duration is not allowed.", "allow empty durations"),
    ("", "The begin date cannot be in the future.", "Wait until the time has come"),
    ("", "The end date cannot be in the future.", "Wait until the time has come"),
    ("", "The project is finished at that time.", "begin and end of the project"),
    ("", "The project has not started at that time.", "begin and end of the project"),
    ("project", "Cannot start a disabled project.", "visible in Kimai"),
    ("activity", "Cannot start a disabled activity.", "visible in Kimai"),
    ("user", "The selected choice is invalid.", "map the agent to another"),
    ("project", "The selected choice is invalid.", "dates contain today"),
    ("activity", "The selected choice is invalid.", "map the type to another"),
    (
        "project",
        "Project mismatch, project specific activity and timesheet project are different.",
        "Map the type to a global activity",
    ),
    ("", "You have an active time record which cannot be stopped automatically.", "Stop the user's running"),
    ("", "This form should not contain extra fields.", "name the permissions"),
]


@pytest.mark.parametrize(("field", "sentence", "step"), SENTENCES)
def test_a_refusal_leads_to_its_next_step(field: str, sentence: str, step: str):
    assert step in remedy_of({field: (sentence,)})


def test_a_rule_that_two_sentences_name_is_answered_once():
    sentences = ("The begin date cannot be in the future.", "The end date cannot be in the future.")
    assert remedy_of({"": sentences}).count("Wait until") == 1


def test_several_refusals_lead_to_several_steps():
    text = remedy_of({"user": ("The selected choice is invalid.",), "": ("The budget is used up.",)})
    assert ("Enable the user" in text, "Raise the budget" in text) == (True, True)


def test_of_an_unknown_sentence_nothing_is_pretended_to_be_known():
    assert remedy_of({"": ("The moon is full.",)}) == ""
