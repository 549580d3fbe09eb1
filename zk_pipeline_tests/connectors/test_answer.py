"""Reading JSON strictly: what is missing or of another type is named, and never guessed."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from zk_pipeline.connectors.answer import ApiResponse, Call, RowReader, parsed
from zk_pipeline.connectors.errors import ProtocolError


def row(*, writes: bool = False, **fields: Any) -> RowReader:
    call = Call("Thing", "POST" if writes else "GET", "/api/thing", writes=writes)
    return ApiResponse(call, 200, fields, {}).row("thing")


def test_a_field_that_is_missing_is_named() -> None:
    with pytest.raises(ProtocolError, match="thing without the field 'time_unit'"):
        row(id=1).decimal("time_unit")


@pytest.mark.parametrize(
    ("read", "value"),
    [
        ("integer", "1"),
        ("integer", True),
        ("integer", 1.0),
        ("integer", None),
        ("text", 1),
        ("boolean", 1),
        ("boolean", "true"),
        ("decimal", 15.0),
        ("decimal", "1,5"),
        ("decimal", "NaN"),
        ("decimal", "Infinity"),
        ("instant", "yesterday"),
        ("instant", "2025-08-16T08:00:00"),
        ("instant", 1755331200),
        ("instant", "0001-01-01T00:00:00+14:00"),
        ("integer", 2**63),
        ("decimal", "1e30"),
        ("optional_date", "soon"),
        ("texts", "a,b"),
        ("texts", ["a", 1]),
        ("optional_integer", "1"),
        ("optional_text", 1),
    ],
)
def test_a_field_of_another_type_is_named(read: str, value: Any) -> None:
    with pytest.raises(ProtocolError, match="'x'"):
        getattr(row(x=value), read)("x")


def test_numbers_are_exact() -> None:
    assert row(x="0.10").decimal("x") == Decimal("0.10")


@pytest.mark.parametrize("text", ["2025-08-16T08:11:49.315Z", "2025-08-16T10:11:49.315+0200"])
def test_instants_come_in_utc_whatever_their_offset(text: str) -> None:
    instant = row(x=text).instant("x")
    assert instant == datetime(2025, 8, 16, 8, 11, 49, 315_000, tzinfo=UTC)
    assert instant.tzinfo is UTC


def test_null_is_nothing_where_it_is_allowed_but_absence_is_not() -> None:
    assert row(x=None).optional_integer("x") is None
    with pytest.raises(ProtocolError, match="without the field 'x'"):
        row().optional_integer("x")


def test_a_date_may_carry_a_time() -> None:
    assert row(x="2025-08-16T00:00:00").optional_date("x") == date(2025, 8, 16)


@pytest.mark.parametrize("data", [None, {}, "text", 1])
def test_a_list_that_is_none_is_a_protocol_error(data: Any) -> None:
    with pytest.raises(ProtocolError, match="A list of thing rows was expected"):
        ApiResponse(Call("Thing", "GET", "/api/thing"), 200, data, {}).rows("thing")


def test_a_list_of_something_else_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError, match="expected as an object, but a whole number was received"):
        ApiResponse(Call("Thing", "GET", "/api/thing"), 200, [1], {}).rows("thing")


@pytest.mark.parametrize("headers", [{}, {"X-Total-Count": "many"}, {"X-Total-Count": "-1"}])
def test_a_count_that_is_missing_or_no_number_is_a_protocol_error(headers: dict[str, str]) -> None:
    with pytest.raises(ProtocolError, match="X-Total-Count"):
        ApiResponse(Call("Thing", "GET", "/api/thing"), 200, [], headers).header_number("X-Total-Count")


@pytest.mark.parametrize(
    ("body", "data"),
    [
        (
            rb'{"title": "a\u0000b", "other": "\ud83d \ude00 \ud83d\ude00"}',
            {"title": "a\ufffdb", "other": "\ufffd \ufffd \U0001f600"},
        ),
        (b'{"title": "a\x00b\xed\xa0\x80\xff"}', {"title": "a\ufffdb\ufffd\ufffd\ufffd\ufffd"}),
        (b'[NaN, -Infinity, 1e999, 0.5, "NaN"]', [None, None, None, 0.5, "NaN"]),
        (b'\xef\xbb\xbf{"a": "\t"}', {"a": "\t"}),
    ],
)
def test_what_cannot_be_stored_is_replaced_and_costs_nothing_else(body: bytes, data: Any) -> None:
    assert parsed(body) == data


def test_json_without_end_is_none() -> None:
    with pytest.raises(ValueError, match="nested"):
        parsed(b"[" * 100_000)


@pytest.mark.parametrize("writes", [True, False])
def test_only_after_a_write_a_strange_answer_leaves_the_outcome_unknown(writes: bool) -> None:
    with pytest.raises(ProtocolError) as caught:
        row(writes=writes).integer("id")
    assert caught.value.outcome_unknown is writes
