"""ZK_LANGUAGE: the command line in German and French; what machines read stays as it is."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from zk_pipeline_tests.cli.conftest import Zk

ENGLISH = re.compile(r"\b(the|is|are|of|does|not|with|has|have|for|and|be|it|to)\b")
"""Words that neither German nor French has."""


def english_lines(output: str) -> list[str]:
    """Lines with two English words or more, without commands."""
    return [line for line in output.splitlines() if len(ENGLISH.findall(re.sub(r"zk \w+.*", "", line))) > 1]


def test_a_month_is_told_in_the_language_of_the_setting(zk: Zk) -> None:
    told = {
        words: zk(*words, ZK_LANGUAGE="de").output
        for words in [
            ("sync", "--from", "2025-10-08"),
            ("status",),
            ("doctor", "--all"),
            ("conflicts", "list"),
            ("mappings", "list"),
            ("schedule", "show"),
            ("connectors", "test"),
            ("statement", "2025-10"),
            ("credits", "list"),
            ("users", "list"),
            ("audit", "verify"),
            ("sync", "--from", "2025-10-08", "--plan"),
        ]
    }
    assert "Letzte Läufe" in told["status",]
    assert re.search(r"^gut +Uhren ", told["doctor", "--all"], re.MULTILINE)
    assert "  gut " in told["connectors", "test"]
    english = {words: lines for words, output in told.items() if (lines := english_lines(output))}
    assert not english
    assert "Dernières exécutions" in zk("status", ZK_LANGUAGE="fr").output


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("de", "Fehler: --from 'x' ist kein Tag. Schreiben Sie ihn wie 2025-08-31."),
        ("fr", "Erreur\u202f: --from 'x' n'est pas un jour. Écrivez-le comme 2025-08-31."),
    ],
)
def test_an_error_is_told_in_the_language_of_the_setting(zk: Zk, language: str, sentence: str) -> None:
    assert sentence in zk("sync", "--from", "x", ZK_LANGUAGE=language).stderr


def test_an_error_of_another_setting_is_told_in_the_language_too(zk: Zk) -> None:
    result = zk("status", ZK_LANGUAGE="de", ZK_TIMEZONE="Berlin")
    assert "Fehler: ZK_TIMEZONE='Berlin'" in result.stderr
    assert not english_lines(result.stderr)


def test_a_language_that_there_is_not_is_refused_with_those_there_are(zk: Zk) -> None:
    result = zk("status", ZK_LANGUAGE="it")
    assert result.exit_code == 1
    assert "ZK_LANGUAGE='it'" in result.stderr
    assert "'en', 'de' or 'fr'" in result.stderr


def test_json_is_the_same_in_every_language(zk: Zk) -> None:
    english, german = (json.loads(zk("status", "--json", ZK_LANGUAGE=language).stdout) for language in ("en", "de"))
    assert english == german


@pytest.mark.parametrize(
    ("language", "sentence", "title"),
    [
        ("de", "Die Buchungen dieser Tage nach Kimai schreiben.", "─ Optionen ─"),
        ("fr", "saisies de ces jours", "─ Options ─"),
    ],
)
def test_help_speaks_the_language_of_the_setting(language: str, sentence: str, title: str) -> None:
    code = "import sys; from zk_pipeline.cli.app import main; sys.argv = ['zk', 'sync', '--help']; main()"
    variables = {"PATH": os.environ["PATH"], "ZK_LANGUAGE": language, "COLUMNS": "100"}
    shown = subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True, timeout=120
    ).stdout
    assert sentence in re.sub(r"\s+", " ", shown.replace("│", " "))
    assert title in shown


@pytest.mark.parametrize(
    ("words", "english", "german"),
    [
        ("schedule set catch_up --days x", "--days 'x' is not a whole number.", "--days 'x' ist keine ganze Zahl."),
        ("demo --web-port 0", "--web-port '0' is below 1.", "--web-port '0' liegt unter 1."),
        ("sync --nonsense", "No such option: --nonsense", "Diese Option gibt es nicht: --nonsense"),
        ("sync --from", "Option '--from' requires an argument.", "Die Option '--from' braucht einen Wert."),
        ("schedule set", "Missing argument 'NAME'.", "Es fehlt das Argument 'NAME'."),
        ("sync a", "Got unexpected extra argument(s) (a)", "Überzählige Argumente: a"),
        ("nonsense", "No such command 'nonsense'.", "Diesen Befehl gibt es nicht: 'nonsense'."),
    ],
)
def test_an_error_of_usage_is_one_sentence_in_the_language_of_the_setting(
    words: str, english: str, german: str
) -> None:
    for language, sentence in (("en", english), ("de", german)):
        told = script(words, language)
        assert told.returncode == 2
        assert sentence in told.stderr
    assert "Usage:" not in told.stderr
    assert not english_lines(told.stderr)


def test_help_is_told_in_the_language_of_the_setting() -> None:
    told = script("sync --help", "fr").stdout
    assert "Usage\u202f: zk sync" in told
    assert "Afficher cette aide." in told
    assert not english_lines(told)


def script(words: str, language: str) -> subprocess.CompletedProcess[str]:
    """The `zk` script itself, which has Typer speak the language, too."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ZK_")}
    command = [Path(sys.executable).with_name("zk"), *words.split()]
    environment |= {"ZK_LANGUAGE": language, "COLUMNS": "100"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
