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
        {"agent_id": 2},
        {"user_email": "ben@example.org"},
        {"begin_at": at("2025-08-16T08:15")},
        {"time_minutes": Decimal("15.01")},
        {"activity_type_id": None},
        {"organization_id": None},
        {"ticket_id": 51},
        {"group_id": 3},
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


def test_a_stable_hash_does_not_depend_on_the_order_of_keys():
    assert stable_hash({"a": 1, "b": [2, None]}) == stable_hash({"b": [2, None], "a": 1})
    assert stable_hash({"a": 1}) != stable_hash({"a": "1"})
