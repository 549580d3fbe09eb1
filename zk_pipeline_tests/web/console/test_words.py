"""The texts of the console: every language says everything, with the same values in it."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from string import Formatter
from zoneinfo import ZoneInfo

import pytest

import zk_pipeline
from zk_pipeline.billing.files import words as documents
from zk_pipeline.decisions.causes import PROJECT_UNCLEAR, Cause
from zk_pipeline.decisions.partners import State
from zk_pipeline.domain.decision import Action, Status
from zk_pipeline.domain.mapping import ObstacleKind
from zk_pipeline.domain.people import Way
from zk_pipeline.domain.reasons import EXPLANATIONS, Reason
from zk_pipeline.domain.resolutions import ALLOWED, Choice
from zk_pipeline.domain.undo import Reversal
from zk_pipeline.languages import Language, translated
from zk_pipeline.privacy.erasure import SPECIAL_REASONS, Fate
from zk_pipeline.stages.push.mending import Mend
from zk_pipeline.store.conflicts import LIFE
from zk_pipeline.web.console.causes import next_step_of, title_of
from zk_pipeline.web.console.shell import SECTIONS
from zk_pipeline.web.console.words import CATALOGS, Words, chosen
from zk_pipeline_tests.languages.sentences import sentences

PRODUCT = Path(zk_pipeline.__file__).parent
BERLIN = ZoneInfo("Europe/Berlin")
ENGLISH, GERMAN, FRENCH = (Words(language, BERLIN) for language in Language)
KEYS = {key for catalog in CATALOGS for key in catalog}


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


OF_TERMINAL = re.compile(r"\bzk [a-z]|\bZK_[A-Z]|(?<!\S)--[a-z]")


def test_nobody_is_sent_to_a_terminal():
    """Whoever reads the console has none; only admins are told of a setting, where alerts go."""
    told = {
        key
        for catalog in (*CATALOGS, documents.WORDS)
        for key, texts in catalog.items()
        if any(OF_TERMINAL.search(text) for text in texts)
    }
    assert told == {"alerts.hint", "alerts.none.hint"}


ARISING = re.compile(
    r"decisions/|billing/(?!files/)|operate/(?!rederive)|privacy/|stages/(?!marts)|connectors/|store/conflicts"
    r"|domain/(?!reasons\.)|observe/alerts|runtime/dagster_server"
)
"""Where sentences arise that the console shows: errors, why runs failed, and alerts. The console has texts of its own
instead of the next step of a reason; what examines the installation speaks to whoever runs it."""


def test_no_error_and_no_failure_of_a_run_names_a_command():
    """A setting may be named where nothing but the setting helps, which is the administrator's."""
    command = re.compile(r"\bzk [a-z]|\bzk:|(?<!\S)--[a-z]")
    told = {text for place, text in sentences() if ARISING.match(place) and command.search(text)}
    assert told == {"zk acts"}, "which is the name of a key"


def test_no_key_stands_in_two_catalogs():
    assert sum(len(catalog) for catalog in CATALOGS) == len(KEYS)


@pytest.mark.parametrize("catalog", CATALOGS, ids=lambda catalog: next(iter(catalog)).partition(".")[0])
def test_every_text_is_there_in_every_language_with_the_same_values(catalog: dict[str, tuple[str, ...]]):
    for key, texts in catalog.items():
        assert len(texts) == len(Language), key
        assert all(text.strip() == text and text for text in texts), key
        assert len({frozenset(placeholders(text)) for text in texts}) == 1, key


def test_there_are_words_for_each_event_of_the_audit_trail():
    """Also for those that are rare: nobody is to meet `credit.settled`."""
    recorded = re.compile(r'(?:audit_event|AuditEvent)\(\s*"([a-z_.]+)"')
    events = {event for file in PRODUCT.rglob("*.py") for event in recorded.findall(file.read_text())}
    assert len(events) > 30
    assert {f"event.{event}" for event in events} - KEYS == set()


def test_there_are_words_for_each_section_reason_decision_and_state():
    of_all = [one for section in SECTIONS for one in (section, *section.parts)]
    needed = {f"{one.name}.{part}" for one in of_all for part in ("title", "about")}
    needed |= {f"reason.{reason}" for reason in Reason} | {f"next.{reason}" for reason in ALLOWED}
    needed |= {f"{part}.{choice}" for choice in Choice for part in ("choice", "effect")}
    needed |= {f"value.{value}" for value in (*Status, *Action, *LIFE)}
    needed |= {f"cause.{kind}" for kind in ObstacleKind} | {f"cause.next.{kind}" for kind in ObstacleKind}
    needed |= {f"todo.mend.{mend}" for mend in Mend}
    needed |= {f"undo.kind.{reversal}" for reversal in Reversal}
    needed |= {f"mappings.way.{way}{part}" for way in Way for part in ("", ".about")}
    needed |= {f"mappings.state.{state}" for state in State}
    needed |= {f"privacy.{part}.{fate}" for fate in Fate for part in ("fate", "why")}
    needed |= {f"privacy.why.{table}.{fate}" for table, fate in SPECIAL_REASONS}
    assert needed - KEYS == set()
    assert set(EXPLANATIONS) == set(Reason)


TELLS_WHAT_TO_DO = {
    Language.ENGLISH: re.compile(
        r"(?:^|[.,;:] |\bor )(?:Adjust|Allow|Choose|Correct|Delete|Enable|Extend|Give|Keep|Link|Make|Map|Open|Say|Set|"
        r"Shorten|Take|Unlock|Have|Move|let|keep|move|adjust|map|leave|put|delete|correct|have)\b"
    ),
    Language.GERMAN: re.compile(r"\b[A-Za-zÄÖÜäöü]+n Sie\b"),
    Language.FRENCH: re.compile(r"\b\w+ez\b"),
}
"""A sentence in the imperative."""


@pytest.mark.parametrize("words", [ENGLISH, GERMAN, FRENCH], ids=["en", "de", "fr"])
@pytest.mark.parametrize("kind", [*ALLOWED, *ObstacleKind, PROJECT_UNCLEAR])
def test_each_cause_says_what_happened_its_hours_and_what_to_do(words: Words, kind: str):
    """As its card shows it, closed and open, and as the pane says it first."""
    is_reason = kind in set(Reason)
    reason = kind if is_reason else Reason.REFUSED_BY_KIMAI
    days = (date(2025, 10, 3),)
    cause = Cause(kind, kind, reason, "", "Anfahrt", "", 2, Decimal(125), days, 0, ended=date(2025, 8, 31))
    happened, to_do = title_of(words, cause), next_step_of(words, cause)
    assert happened
    assert "{" not in happened
    assert words.hours(cause.minutes) == "2 h 05".replace(" ", "\N{NARROW NO-BREAK SPACE}")
    assert TELLS_WHAT_TO_DO[words.language].search(to_do), to_do
    assert to_do.endswith(".")
    assert to_do != happened
    if words is not ENGLISH:
        assert happened != title_of(ENGLISH, cause)
        assert to_do != next_step_of(ENGLISH, cause)


@pytest.mark.parametrize("language", [Language.GERMAN, Language.FRENCH])
@pytest.mark.parametrize("reason", Reason)
def test_each_reason_is_told_with_its_next_step_in_every_language(reason: Reason, language: Language):
    explained = EXPLANATIONS[reason]
    for text in (explained.meaning, explained.next_step):
        assert text.endswith(".")
        assert translated(text, language) != text


def test_numbers_keep_every_decimal_and_are_written_as_the_language_does():
    amount = Decimal("1234567.250")
    assert ENGLISH.number(amount) == "1,234,567.25"
    assert GERMAN.number(amount) == "1.234.567,25"
    assert FRENCH.number(amount) == "1\u202f234\u202f567,25"
    assert ENGLISH.number(Decimal("-0.10")) == "-0.1"
    assert GERMAN.minutes(90) == "90\u202fmin"


def test_amounts_are_shown_in_hours_to_the_minute():
    assert ENGLISH.hours(Decimal(1723)) == "28\u202fh\u202f43"
    assert GERMAN.hours(Decimal("72000.5")) == "1.200\u202fh\u202f01"
    assert FRENCH.hours(45) == "45\u202fmin"
    assert ENGLISH.hours(Decimal(-61)) == "\u22121\u202fh\u202f01"
    assert ENGLISH.hours(Decimal("-0.3")) == "0\u202fmin"


def test_instants_are_shown_in_the_business_zone():
    instant = datetime(2025, 8, 31, 22, 30, tzinfo=UTC)
    assert ENGLISH.instant(instant) == "1 Sep 2025, 00:30"
    assert GERMAN.instant(instant) == "01.09.2025, 00:30"
    assert FRENCH.instant(instant) == "01/09/2025, 00:30"


def test_a_range_of_one_day_is_that_day():
    day = date(2025, 10, 1)
    assert GERMAN.days(day, day) == "01.10.2025"
    assert GERMAN.days(day, date(2025, 10, 2)) == "01.10.2025 \N{EN DASH} 02.10.2025"


@pytest.mark.parametrize(
    ("wanted", "accepted", "language"),
    [
        ("", "de-AT,de;q=0.9,en;q=0.8", Language.GERMAN),
        ("fr", "de", Language.FRENCH),
        ("", "pl,fr;q=0.5", Language.FRENCH),
        ("", "", Language.ENGLISH),
        ("xx", "*", Language.ENGLISH),
    ],
)
def test_the_language_is_the_chosen_one_or_the_first_that_the_browser_accepts(
    wanted: str, accepted: str, language: Language
):
    assert chosen(wanted, accepted) is language


def test_french_counts_zero_as_one():
    assert FRENCH.count("bulk.selected", 0) == "0 sélectionné"
    assert ENGLISH.count("bulk.selected", 0) == "0 selected"
    assert FRENCH.count("bulk.selected", 2) == "2 sélectionnés"
