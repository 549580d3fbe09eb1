"""The unified entry's hash of the fields that are ours."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from zk_pipeline.domain.entries import stable_hash
from zk_pipeline_tests.domain.builders import BERLIN, at, entry


@pytest.mark.parametrize(
    "change",
    [
        {"agent_id": "2"},
        {"user_email": "ben@example.org"},
        {"begin_at": at("2025-08-16T08:15")},
        {"time_minutes": Decimal("15.01")},
        {"activity_type_id": None},
        {"organization_id": None},
        {"ticket_id": "51"},
        {"group_id": "3"},
    ],
)
def test_the_hash_changes_with_every_field_that_is_ours(change: dict[str, Any]):
    assert entry(**change).owned_hash != entry().owned_hash


@pytest.mark.parametrize(
    "change",
    [
        {"description": "edited by a person"},
        {"tags": ()},
        {"ticket_title": "renamed"},
        {"user_email": "ANNA@example.org"},
        {"time_minutes": Decimal("15.000")},
        {"begin_at": at("2025-08-16T08:00").astimezone(BERLIN)},
        {"updated_at": at("2025-08-16T08:00") + timedelta(days=3)},
    ],
)
def test_the_hash_does_not_change_with_anything_else(change: dict[str, Any]):
    assert entry(**change).owned_hash == entry().owned_hash


@pytest.mark.parametrize(
    ("change", "before"),
    [
        ({}, "33d3d4fcbbefa0c87fe6db182290713a"),
        (
            {"organization_id": None, "activity_type_id": None, "group_id": None},
            "f28066fcd6baef8be9f5c997bcdc4f92",
        ),
    ],
)
def test_the_hash_is_that_of_releases_in_which_ids_were_numbers(change: dict[str, Any], before: str):
    assert entry(**change).owned_hash == before


def test_people_of_a_source_with_text_ids_have_hashes_of_their_own():
    people = ["1", "01", "557058:0a1b", "A1", "a1"]
    assert len({entry(agent_id=id_).owned_hash for id_ in people}) == len(people)


def test_a_stable_hash_does_not_depend_on_the_order_of_keys():
    assert stable_hash({"a": 1, "b": [2, None]}) == stable_hash({"b": [2, None], "a": 1})
    assert stable_hash({"a": 1}) != stable_hash({"a": "1"})
