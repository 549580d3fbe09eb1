"""Markers: made, found exactly, and kept out of other people's texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_pipeline.domain.markers import has_marker, marked_ids, marker, ticket_references, without_markers

CONNECTORS = st.from_regex(r"[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,4})?", fullmatch=True)
LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
IDS = st.integers(1, 10**9).map(str) | st.text(LETTERS, min_size=1, max_size=20)
FRAGMENTS = st.lists(
    st.sampled_from(
        ["[zk-zammad-6]", "[zk-zam", "mad-7]", "[", "]", "zk-", "zammad-", "6", "[zk-zammad-", " ", "x", "[zk-other-1]"]
    ),
    max_size=12,
).map("".join)


def test_the_marker_names_connector_and_booking():
    assert marker("zammad", "6") == "[zk-zammad-6]"


@given(CONNECTORS, IDS, st.text(max_size=30).filter(lambda text: "[" not in text))
def test_a_marker_is_found_in_any_text(connector: str, source_id: str, text: str):
    assert marked_ids(f"{text}{marker(connector, source_id)}{text}", connector) == (source_id,)


@pytest.mark.parametrize(
    ("source_id", "marked"), [("a5", "[zk-csv-a5]"), ("B-1", "[zk-csv-x422d31]"), ("x41", "[zk-csv-x783431]")]
)
def test_an_id_that_would_break_a_marker_is_encoded(source_id: str, marked: str):
    assert marker("csv", source_id) == marked
    assert marked_ids(marked, "csv") == (source_id,)


@pytest.mark.parametrize("written", ["x36", "x00", "xff", "x613", "x6135"])
def test_what_we_never_write_is_not_decoded(written: str):
    """`x36` would be a second marker of booking 6; the database keeps no text with the others."""
    assert marked_ids(f"[zk-csv-{written}]", "csv") == (written,)


@given(IDS, IDS)
def test_no_marker_is_found_in_another(one: str, other: str):
    assert (marker("zammad", one) in marker("zammad", other)) == (one == other)


def test_the_marker_of_a_connector_with_a_longer_name_is_not_ours():
    assert marked_ids("[zk-zammad-2-6]", "zammad") == ()
    assert marked_ids("[zk-zammad-2-6]", "zammad-2") == ("6",)


@pytest.mark.parametrize("text", ["", "zk-zammad-6", "[zk-zammad-]", "[ZK-ZAMMAD-6]", "[zk-zammad-6", "[zk zammad 6]"])
def test_what_only_resembles_a_marker_is_none(text: str):
    assert not has_marker(text)
    assert marked_ids(text, "zammad") == ()


def test_several_markers_are_found_once_each_in_order():
    assert marked_ids("[zk-zammad-9] and [zk-zammad-6] and [zk-zammad-9]", "zammad") == ("9", "6")


@given(FRAGMENTS)
def test_no_title_keeps_a_marker_or_closes_to_one(title: str):
    cleaned = without_markers(title)
    assert not has_marker(cleaned)
    assert marked_ids(f"{cleaned} [zk-zammad-5]", "zammad") == ("5",)


def test_a_marker_within_a_marker_does_not_surface():
    assert not has_marker(without_markers("[zk-zam[zk-zammad-6]mad-7]"))


def test_a_text_without_markers_stays_as_it_is():
    assert without_markers("Printer [urgent] (zk)") == "Printer [urgent] (zk)"


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("Ticket #50: Printer", {"50"}),
        ("ticket 50", {"50"}),
        ("TICKET#50 and #51", {"50", "51"}),
        ("Ticket # 50", {"50"}),
        ("call about #20250816001", {"20250816001"}),
        ("50 minutes", set()),
        ("myticket 50", set()),
        ("#50a", set()),
        ("Ticket #500", {"500"}),
        ("", set()),
    ],
)
def test_ticket_numbers_are_read_as_people_write_them(text: str, numbers: set[str]):
    assert ticket_references(text) == numbers


def test_a_description_full_of_blanks_is_read_in_linear_time():
    assert ticket_references("ticket" + " " * 65_000 + "x") == frozenset()
