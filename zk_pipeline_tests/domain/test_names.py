"""Names and numbers of customers and projects that Kimai accepts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_pipeline.domain.names import (
    NAME_LENGTHS,
    clean_name,
    fold,
    name_keys,
    plain_text,
)

IDS = st.integers(0, 10**9)


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("Acme", "Acme"),
        ("  Acme\t GmbH\n& Co.  ", "Acme GmbH & Co."),
        ('A <b> "c" = d', "A (b) 'c' - d"),
        (
            "Caf\u00e9 \U0001f468\u200d\U0001f469\u200d\U0001f467 \u00d8resund",
            "Caf\u00e9 \U0001f468\u200d\U0001f469\u200d\U0001f467 \u00d8resund",
        ),
        ("Ac\u00adme\u202e\x00", "Acme"),
        ("Mu\u0308ller\u00a0\u202fKG", "M\u00fcller KG"),
        ("half a pair \ud83d", "half a pair"),
    ],
)
def test_a_name_keeps_what_kimai_accepts(name: str, cleaned: str):
    assert clean_name(name, "Organization 7") == cleaned


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("two\r\nlines\tand a bell\x07\x9b", "two lines and a bell"),
        ("\u202etxet\u202c \u2066isolated\u2069 \u2028next", "txet isolated next"),
        ("[zk-zam\u202emad-6]", "[zk-zammad-6]"),
    ],
)
def test_control_characters_and_what_turns_the_direction_stay_out_of_texts(text: str, plain: str):
    assert plain_text(text) == plain


@pytest.mark.parametrize(
    "text",
    [
        "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f3f3\ufe0f\u200d\U0001f308 \U0001f1e9\U0001f1ea  e\u0301",
        "\u05de\u05d3\u05e4\u05e1\u05ea \u200f\u0645\u0631\u062d\u0628\u0627 123",
    ],
)
def test_emoji_and_right_to_left_text_stay_as_they_are(text: str):
    assert plain_text(text) == text


@pytest.mark.parametrize("name", ["", " ", "A", "\x00\x00", "," * 200, "-" * 151])
def test_a_name_of_which_too_little_is_left_falls_back(name: str):
    assert clean_name(name, "Organization 7") == "Organization 7"


def test_a_long_name_is_cut_at_a_word():
    assert clean_name("word " * 40, "-") == "word " * 28 + "word…"


def test_a_long_name_without_words_is_cut_to_the_limit():
    assert clean_name("x" * 200, "-") == "x" * 149 + "…"


def test_a_name_of_exactly_the_limit_is_not_cut():
    assert clean_name("x" * 150, "-") == "x" * 150


def test_a_family_of_emoji_is_not_left_holding_hands_with_nobody():
    cut = clean_name("x" * 147 + "\U0001f468\u200d\U0001f469", "-")
    assert cut == "x" * 147 + "\U0001f468\u200d\U0001f469"
    assert clean_name("x" * 147 + "\U0001f468\u200d\U0001f469\u200d\U0001f467", "-") == "x" * 147 + "\U0001f468…"


@given(st.text(max_size=400) | st.text(' ,-<>="ab\u200d', max_size=400))
def test_every_name_is_accepted_and_cleaning_it_again_changes_nothing(name: str):
    cleaned = clean_name(name, "Organization 7")
    assert NAME_LENGTHS[0] <= len(cleaned) <= NAME_LENGTHS[1]
    assert not set(cleaned) & set('<>"=')
    assert cleaned == cleaned.strip()
    assert clean_name(cleaned, "Organization 7") == cleaned


LONG = "Forschungsgesellschaft der " * 6 + "Nord"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("B\u00e4ckerei M\u00fcller", "Ba\u0308ckerei Mu\u0308ller"),
        ("Acme Two GmbH", "Acme  Two GmbH"),
        ("Acme Two GmbH", " acme\u00a0two\u202fGMBH\t"),
        ("Acme-Two", "Acme\u2011Two"),
        ("Acme-Two", "Acme\u2013Two"),
        ("Acme-Two", "Acme\u2212Two"),
        ("Bundesamt", "Bundes\u00adamt"),
        ("Bundesamt", "\ufeffBundes\u200bamt\u200e"),
        ("Stra\u00dfe", "STRASSE"),
        ("\u0130stanbul Isparta", "istanbul \u0131sparta"),
        ("\u039f\u0394\u039f\u03a3", "\u03bf\u03b4\u03bf\u03c2"),
        ("\uff21\uff23\uff2d\uff25", "Acme"),
        ("O\ufb03ce", "office"),
        ('Labor "Nord" <X>', "Labor 'Nord' (X)"),
        ('Labor "Nord"', "Labor \u201eNord\u201c"),
        ("a = b", "a - b"),
        (LONG, clean_name(LONG, "")),
        (LONG, LONG[:150]),
    ],
)
def test_names_that_a_person_would_call_the_same_are_the_same(one: str, other: str):
    assert name_keys(one) & name_keys(other)


@pytest.mark.parametrize(
    ("one", "other"), [("M\u00fcller", "Muller"), ("Acme One", "Acme Two"), ("Acme", "Acme GmbH"), (LONG, LONG[:140])]
)
def test_names_that_tell_two_apart_stay_two(one: str, other: str):
    assert not name_keys(one) & name_keys(other)


@given(st.text(max_size=60))
def test_a_name_is_the_same_as_what_kimai_gets_of_it(name: str):
    assert fold(fold(name)) == fold(name)
    assert fold(clean_name(name, name)) == fold(name)
