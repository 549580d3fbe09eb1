"""Rules: the first attribute that a ticket has decides, and several values decide nothing."""

from dataclasses import replace
from typing import Any

import pytest

from zk_pipeline.domain.attributes import (
    LONGEST_ID,
    Decision,
    Value,
    decide,
    fields_of,
    looks_at,
    named_by,
    parse_rules,
    values_of,
)
from zk_pipeline.domain.records import Ticket

OWN = {"type": Value("3", "Support"), "organization": Value("7", "Acme")}


def ticket(**attributes: list[str]) -> Ticket:
    values = {
        name.replace("__", ":"): [{"id": value.lower(), "name": value} for value in given]
        for name, given in attributes.items()
    }
    return Ticket(
        "1", "1", "Case", "7", None, "5", "Second level", None, None, complete=True, raw={}, attributes=values
    )


@pytest.mark.parametrize(
    ("rules", "attributes", "decided"),
    [
        ("type", {"component": ["Printing"]}, Value("3", "Support")),
        ("organization", {}, Value("7", "Acme")),
        ("component, type", {"component": ["Printing"]}, Value("component:printing", "Printing")),
        ("component, type", {}, Value("3", "Support")),
        ("component, label", {"label": ["On site"]}, Value("label:on%20site", "On site")),
        ("label:work-*, type", {"label": ["urgent", "Work-Remote"]}, Value("label:work-remote", "Work-Remote")),
        ("label:work-*, type", {"label": ["urgent", "vip"]}, Value("3", "Support")),
        ("group", {}, Value("group:5", "Second level")),
        ("field:contract, organization", {"field__contract": ["Gold"]}, Value("field:contract:gold", "Gold")),
        ("project", {}, None),
    ],
)
def test_the_first_attribute_that_a_ticket_has_decides(
    rules: str, attributes: dict[str, list[str]], decided: Value | None
) -> None:
    keeps = "organization" if "organization" in rules else "type"
    assert decide(parse_rules(rules), ticket(**attributes), OWN, keeps).value == decided


def test_of_several_values_none_is_taken() -> None:
    found = decide(parse_rules("component, type"), ticket(component=["Beta", "Alpha"]), OWN, "type")
    assert found.value is None
    assert found.problem == "it has several values of component (Alpha, Beta), and one has to decide"


def test_what_the_account_does_not_see_is_not_taken_for_absent() -> None:
    unseen = decide(parse_rules("field:contract, type"), None, OWN, "type")
    assert unseen == Decision(problem="the account does not see its field:contract, which decides")
    assert decide(parse_rules("type, component"), None, OWN, "type").value == OWN["type"]


def test_ids_are_of_their_attribute_and_no_longer_than_ids_of_a_source() -> None:
    long = ticket(label=["x" * 200], component=["same"])
    (kind,) = named_by(parse_rules("label"), parse_rules("organization"), [long]).activity_types
    assert len(kind.id) <= LONGEST_ID
    same = ticket(label=["7"], component=["7"], project=["7"], field__contract=["7"], field__cost=["7"])
    own = {"type": Value("7", "Support"), "organization": Value("7", "Acme")}
    rules = parse_rules("type, organization, label, component, project, field:contract, field:cost")
    for keeps in ("type", "organization"):
        found = [decide([rule], same, own, keeps).value for rule in rules]
        assert len({value.id for value in found if value}) == len(rules)
        assert [value.id for value in found if value and ":" not in value.id] == ["7"], "the source's own"


def test_an_organization_that_stands_for_the_activity_is_listed_as_one() -> None:
    acme = replace(ticket(), organization_name="Acme")
    named = named_by(parse_rules("organization, type"), parse_rules("organization"), [acme])
    assert [(row.id, row.name) for row in named.activity_types] == [("organization:7", "Acme")]
    decided = decide(parse_rules("organization, type"), acme, OWN, "type").value
    assert decided == Value("organization:7", "Acme")


@pytest.mark.parametrize(
    ("rules", "looked_at"),
    [("organization", True), ("group, organization", False), ("project, organization", True), ("project", False)],
)
def test_what_stands_behind_the_rule_that_decided_was_not_looked_at(rules: str, looked_at: bool) -> None:
    parsed = parse_rules(rules)
    assert looks_at("organization", parsed, decide(parsed, ticket(), OWN, "organization")) == looked_at


def test_activities_and_customers_of_rules_can_be_mapped_by_name() -> None:
    named = named_by(parse_rules("component, type"), parse_rules("label, organization"), [ticket(component=["A", "B"])])
    assert [row.name for row in named.activity_types] == ["A", "B"]
    assert named.organizations == ()


@pytest.mark.parametrize(
    ("raw", "names"),
    [
        ("Gold", ["Gold"]),
        (7, ["7"]),
        ({"id": "10", "value": "Gold"}, ["Gold"]),
        ([{"id": "1", "name": "A"}, "B"], ["A", "B"]),
        ({"id": 3}, ["3"]),
        (None, []),
        ("  ", []),
        (True, []),
        ({}, []),
        ([None], []),
    ],
)
def test_a_field_may_have_any_shape(raw: Any, names: list[str]) -> None:
    assert [value["name"] for value in values_of(raw)] == names


def test_only_the_fields_that_were_asked_for_are_kept() -> None:
    assert fields_of({"contract": "Gold", "secret": "x"}, {"field:contract", "field:other", "label"}) == {
        "field:contract": [{"id": "Gold", "name": "Gold"}]
    }
