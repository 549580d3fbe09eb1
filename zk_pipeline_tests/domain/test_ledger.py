"""What was asked for, as it is kept in the ledger."""

from dataclasses import replace
from typing import Any

import pytest

from zk_pipeline.domain.ledger import Desired
from zk_pipeline_tests.domain.builders import BERLIN, at, desired


def test_what_was_asked_for_comes_back_from_the_ledger_as_it_was():
    assert Desired.from_json(desired().to_json()) == desired()


def test_a_project_that_got_its_id_is_the_same_wish():
    assert desired(project_id=None).hash == desired().hash


def test_another_project_without_number_is_another_wish():
    assert desired(project_number="", project_id=41).hash != desired(project_number="", project_id=40).hash


def test_an_instant_in_another_zone_is_the_same_wish():
    assert desired(begin=at("2025-08-16T08:00").astimezone(BERLIN)).hash == desired().hash


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": 11},
        {"activity_id": 21},
        {"project_number": "ZO8"},
        {"begin": at("2025-08-16T08:01")},
        {"seconds": 901},
    ],
)
def test_every_field_that_is_ours_makes_another_wish(change: dict[str, Any]):
    assert replace(desired(), **change).hash != desired().hash
