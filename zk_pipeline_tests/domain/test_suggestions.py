"""Suggestions: the same name before a similar one, nothing that has too little in common, nothing out of use."""

from zk_pipeline.decisions.mapping_files import (
    LOWEST_SCORE,
    MOST_SUGGESTIONS,
    NamedCandidate,
    Suggestion,
    activity_candidates,
    customer_candidates,
    suggest,
    user_candidates,
)
from zk_pipeline.domain.records import Activity, Customer, TargetUser


def candidates(*names: str) -> list[NamedCandidate]:
    return [NamedCandidate(number, (name,)) for number, name in enumerate(names, start=1)]


def test_the_same_name_comes_first_whatever_its_case_and_blanks() -> None:
    found = suggest(["Remote Support"], candidates("Remote Support 24", "  remote   SUPPORT"))
    assert found[0] == Suggestion(2, "  remote   SUPPORT", 100)
    assert 100 > found[1].score >= LOWEST_SCORE


def test_the_same_email_or_user_name_counts_as_the_same() -> None:
    people = [NamedCandidate(1, ("A. Berger", "aberger", "anna@example.org")), NamedCandidate(2, ("Anna Berg", "anna"))]
    assert suggest(["Anna@Example.org", "Anna Berger"], people)[0] == Suggestion(1, "A. Berger", 100)


def test_colleagues_are_not_alike_because_they_share_a_domain() -> None:
    people = [NamedCandidate(1, ("Olga Petrov", "olga@long-company-name.example"))]
    assert suggest(["tim@long-company-name.example"], people) == ()


def test_what_has_little_in_common_is_not_offered() -> None:
    assert suggest(["Anfahrt"], candidates("Consulting", "Meeting")) == ()


def test_a_few_are_offered_best_first() -> None:
    found = suggest(["Support"], candidates("Support 1st", "Support 2nd", "Support 3rd", "Support", "Support 4th"))
    assert len(found) == MOST_SUGGESTIONS
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert found[0].name == "Support"


def test_something_without_a_name_gets_no_suggestion() -> None:
    assert suggest(["", ""], candidates("Support")) == ()


def test_what_is_out_of_use_is_no_candidate() -> None:
    users = [TargetUser(1, "anna", None, "", enabled=True, timezone="UTC")]
    users += [TargetUser(2, "ben", None, "Ben", enabled=False, timezone="UTC")]
    assert user_candidates(users) == [NamedCandidate(1, ("anna", "anna"))]
    assert activity_candidates([Activity(1, "Support", None, None, visible=False)]) == []
    assert customer_candidates([Customer(1, "Acme", None, visible=False)]) == []
