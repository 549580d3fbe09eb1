"""What the product says in German and French: complete, true to the English, and recognised with its values."""

import json
import re
from importlib.resources import files

import pytest
import typer

from zk_pipeline.cli.app import app
from zk_pipeline.defs.run_launcher import DIED
from zk_pipeline.domain.vital_figures import Level
from zk_pipeline.languages import SLOT, Language, translated
from zk_pipeline_tests.languages.sentences import check_names, everything, help_texts, sentences

OTHERS = [Language.GERMAN, Language.FRENCH]

UNTRANSLATED = {
    # For the log alone, of `dagster dev`.
    (
        "Nothing is written to %s: this is `dagster dev`, and no sandbox is behind it. "
        "Use `zk up`, or set ZK_DEV_PUSH=true."
    ),
    # For what Docker and Kubernetes keep of a health check.
    "{} does not answer; its process is killed.",
    "Set ZK_DAGSTER_URL: without it nobody knows whether the daemon works.",
    # Defects, which nobody is to see.
    "The mapping {} of kind {} leads nowhere.",
    "The plan's line {} of {} is to be written but has no draft.",
    # Compared with what the systems answer.
    "This form should not contain extra fields.",
    "This page doesn't exist.",
}
"""Sentences that stay English."""

_SENTENCE = re.compile(r"[A-Z{0-9].*[.!?]", re.DOTALL)


def catalog(language: Language) -> dict[str, str]:
    return json.loads(files("zk_pipeline.languages").joinpath(f"{language}.json").read_text("utf-8"))


@pytest.mark.parametrize("language", OTHERS)
def test_every_sentence_for_people_is_translated(language: Language) -> None:
    known = catalog(language)
    missing = [
        f"{place}: {template}"
        for place, template in sentences()
        if _SENTENCE.fullmatch(template) and template not in known and template not in UNTRANSLATED
    ]
    assert not missing, f"Add these to zk_pipeline/languages/{language}.json"


SYSTEMS = {"Kimai", "PostgreSQL", "Tags", "Webhook", "Zammad"}
"""Names of checks that are the same in each language."""


@pytest.mark.parametrize("language", OTHERS)
def test_each_check_and_what_it_came_to_has_a_name(language: Language) -> None:
    names = check_names() | {level.value for level in Level}
    assert {"Clocks", "secrets", "tracking mode"} <= names
    assert not names - catalog(language).keys() - SYSTEMS


@pytest.mark.parametrize("language", OTHERS)
def test_nothing_is_translated_that_the_product_does_not_say(language: Language) -> None:
    said = everything() | set(help_texts(typer.main.get_command(app)))
    assert not set(catalog(language)) - said, f"Remove these from zk_pipeline/languages/{language}.json"


def test_both_languages_have_the_same_sentences() -> None:
    assert catalog(Language.GERMAN).keys() == catalog(Language.FRENCH).keys()


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_has_every_value_once_or_by_its_number(language: Language) -> None:
    for template, translation in catalog(language).items():
        numbers = re.findall(r"{(\d*)}", translation)
        values = template.count(SLOT)
        assert numbers == [""] * values or {int(number) for number in numbers} == set(range(values)), template
        assert translation.strip() == translation, template


@pytest.mark.parametrize(
    ("english", "german", "french"),
    [
        (
            "--from 'yesterday' is not a day. Write it as 2025-08-31.",
            "--from 'yesterday' ist kein Tag. Schreiben Sie ihn wie 2025-08-31.",
            "--from 'yesterday' n'est pas un jour. Écrivez-le comme 2025-08-31.",
        ),
        (  # Two sentences, of which one has values.
            "Closed months: 2025-09, 2025-10. Everything is mapped.",
            "Abgeschlossene Monate: 2025-09, 2025-10. Alles ist zugeordnet.",
            "Mois clos\u202f: 2025-09, 2025-10. Tout est associé.",
        ),
        (  # A list of amounts within a sentence, and another one after it.
            "2025-10-01 to 2025-10-31: 91 entries: 3 created, 5 in sync before. 2 wait for zk approve.",
            "2025-10-01 bis 2025-10-31: 91 Buchungen: 3 neu, 5 schon vorher abgeglichen. 2 warten auf zk approve.",
            "2025-10-01 au 2025-10-31\u202f: 91 saisies\u202f: 3 créées, 5 déjà synchronisées. 2 attendent zk approve.",
        ),
        (  # What a check of the chain says in an alert.
            "2025-10-01 to 2025-10-02 was not read completely: the read broke off.",
            "2025-10-01 bis 2025-10-02 wurde nicht vollständig gelesen: Das Lesen brach ab.",
            "La période du 2025-10-01 au 2025-10-02 n'a pas été lue en entier\u202f: la lecture s'est interrompue.",
        ),
        (
            DIED,
            "Der Prozess dieses Laufs ist gestorben. Seine Tage sind wieder angefordert.",
            "Le processus de cette exécution est mort. Ses jours sont redemandés.",
        ),
        (
            "ZK_STATEMENT_FONT='/f' is not a TrueType font. Set a .ttf file, or unset it.",
            (
                "ZK_STATEMENT_FONT='/f' ist keine TrueType-Schrift. "
                "Geben Sie eine Datei .ttf an, oder lassen Sie die Einstellung weg."
            ),
            "ZK_STATEMENT_FONT='/f' n'est pas une police TrueType. Indiquez un fichier .ttf, ou supprimez ce réglage.",
        ),
        (  # A decision that is not possible, with what is.
            (
                "Conflict 12: A time sheet typed by hand says the same. It is not possible to update the time sheet; "
                "possible: link the time sheet, create the time sheet, leave it out."
            ),
            (
                "Konflikt 12: Ein von Hand angelegter Zeiteintrag sagt dasselbe. Nicht möglich: den Zeiteintrag "
                "ändern; möglich: den Zeiteintrag verknüpfen, den Zeiteintrag anlegen, auslassen."
            ),
            (
                "Conflit 12\u202f: Une feuille de temps saisie à la main dit la même chose. Impossible\u202f: modifier "
                "la feuille de temps\u202f; possible\u202f: lier la feuille de temps, créer la feuille de temps, "
                "laisser de côté."
            ),
        ),
        ("12.3 GB free of 20.0 GB.", "12.3 GB von 20.0 GB frei.", "12.3 GB libres sur 20.0 GB."),
        ("30 days", "30 Tagen", "30 jours"),
        ("Müller & Söhne GmbH", "Müller & Söhne GmbH", "Müller & Söhne GmbH"),
        ("created", "neu", "créées"),
        ("", "", ""),
        ("  \n", "  \n", "  \n"),
    ],
)
def test_a_sentence_is_recognised_with_its_values(english: str, german: str, french: str) -> None:
    assert translated(english, Language.ENGLISH) == english
    assert translated(english, Language.GERMAN) == german
    assert translated(english, Language.FRENCH) == french


def test_names_in_a_sentence_stay_as_they_are() -> None:
    """Also where they are words of ours: an activity may be named Support, and a customer `created`."""
    english = "Kimai has Conflicts of the name created already: sent. Take one of them, or a new one?"
    said = translated(english, Language.GERMAN)
    assert said != english
    assert {"Conflicts", "created", "sent"} <= set(re.findall(r"\w+", said))


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize(
    "name",
    [
        "Path to Growth Ltd",
        "Access to VPN",
        "access to vpn",
        "Access to 2 days",
        "Free days",
        "Key customers",
        "Booking Hotel",
        "Checking Accounts",
        "Conflict Management",
        "time sheet review",
        "Offer: created",
        "Support, created",
        "Invoice 3 open",
        "Warning: disk full",
        "Server was down and is up",
        "The day that we agreed on is not a date",
    ],
)
def test_a_name_or_title_of_people_stays_alone_and_in_a_sentence(name: str, language: Language) -> None:
    assert translated(name, language) == name
    english = f"Kimai has a customer of the name {name} already: {name}. Take one of them, or a new one?"
    assert translated(english, language).count(name) == 2


@pytest.mark.parametrize("text", ["{0} {}", "{" * 50, "x. " * 200, "a, " * 300, "\\", "[bold]", "%s {name}"])
def test_any_text_is_taken(text: str) -> None:
    assert translated(text, Language.GERMAN) == text
