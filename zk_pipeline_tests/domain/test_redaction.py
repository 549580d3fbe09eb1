"""Erased people are recognized by hashes alone, wherever and however they are written; nobody else is touched."""

import pytest

from zk_pipeline.domain.records import Agent, TargetUser
from zk_pipeline.domain.redaction import Identity, Redactor, erased

ANNA = Identity("anna@example.com", frozenset({"Anna Müller-Lüdenscheid"}), frozenset({"amueller"}))
PERSON = erased(ANNA, "salt")
NAME = PERSON.pseudonym
MAIL = f"{NAME}@erased.invalid"


@pytest.fixture
def redactor() -> Redactor:
    return Redactor([PERSON])


@pytest.mark.parametrize(
    ("text", "without"),
    [
        ("anna@example.com", MAIL),
        ("Write to Anna@Example.COM.", f"Write to {MAIL}."),
        ("<anna@example.com>, mailto:anna@example.com", f"<{MAIL}>, mailto:{MAIL}"),
        ("Ask anna@example.com.Then wait.", f"Ask {MAIL}.Then wait."),
        ("Call Anna Müller-Lüdenscheid back", f"Call {NAME} back"),
        ("ANNA MÜLLER-LÜDENSCHEID: printer", f"{NAME}: printer"),
        ("Müller-Lüdenscheid, Anna", NAME),
        ("Anna.Müller-Lüdenscheid_old", f"{NAME}_old"),
        ("Anna  Müller-Lüdenscheid and Anna Müller-Lüdenscheid", f"{NAME} and {NAME}"),
    ],
)
def test_address_and_full_name_are_replaced_in_any_text(redactor: Redactor, text: str, without: str) -> None:
    assert redactor.value(text) == without


@pytest.mark.parametrize(
    "text",
    [
        "joanna@example.com",
        "anna@example.com.au",
        "x.anna@example.com",
        "Anna is a common name",
        "Anna and Herr Müller-Lüdenscheid",
        "Susanna Müller-Lüdenscheid",
        "login amueller in the middle of a sentence",
        "",
    ],
)
def test_others_keep_their_names(redactor: Redactor, text: str) -> None:
    assert redactor.value(text) == text


def test_a_login_is_replaced_where_the_field_is_a_person(redactor: Redactor) -> None:
    row = {"customer": "AMueller", "owner": "ben", "title": "amueller", "tags": ["anna@example.com"], "number": 7}
    assert redactor.value(row) == {"customer": NAME, "owner": "ben", "title": "amueller", "tags": [MAIL], "number": 7}


def test_a_row_of_the_person_loses_every_name_of_theirs(redactor: Redactor) -> None:
    agent = Agent(7, "new-login", "Anna@example.com", "Anna Married", active=True)
    user = TargetUser(8, "anna@example.com", "anna@example.com", "A.", enabled=True, timezone="UTC")
    ben = Agent(9, "ben", "ben@example.com", "Ben Example", active=True)
    assert redactor.rows([agent, user, ben]) == [
        Agent(7, NAME, MAIL, NAME, active=True),
        TargetUser(8, MAIL, MAIL, NAME, enabled=True, timezone="UTC"),
        ben,
    ]


def test_without_anybody_erased_rows_are_left_as_they_are() -> None:
    agent = Agent(7, "anna", "anna@example.com", "Anna", active=True)
    (same,) = Redactor([]).rows([agent])
    assert same is agent


def test_the_pseudonym_is_the_same_each_time_and_another_for_another_salt() -> None:
    again = erased(Identity("ANNA@example.com", frozenset(), frozenset()), "salt")
    other = erased(ANNA, "another salt")
    assert (again.pseudonym == NAME, other.pseudonym == NAME) == (True, False)


def test_no_hash_shows_what_it_is_of() -> None:
    assert "anna" not in repr(PERSON).casefold()
