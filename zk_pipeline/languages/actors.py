"""What people call those who acted, in each language; the console, documents and the terminal share it."""

import re
from collections.abc import Mapping

from zk_pipeline.languages import Language

_MARK = re.compile(r"(user|cli):(.+)")

WORDS: Mapping[str, tuple[str, str, str]] = {
    "actor.user": ("a former user ({name})", "ein früherer Benutzer ({name})", "un ancien utilisateur ({name})"),
    "actor.cli": ("{name} (command line)", "{name} (Kommandozeile)", "{name} (ligne de commande)"),
    "actor.pipeline": ("zk_pipeline", "zk_pipeline", "zk_pipeline"),
    "actor.schedule": ("the schedule", "der Zeitplan", "la planification"),
    "actor.webhook": ("a webhook", "ein Webhook", "un webhook"),
    "actor.nobody": ("somebody not signed in", "jemand ohne Anmeldung", "quelqu'un sans connexion"),
    "actor.identity-provider": ("the identity provider", "der Identitätsanbieter", "le fournisseur d'identité"),
    "actor.environment": ("the environment variables", "die Umgebungsvariablen", "les variables d'environnement"),
    "actor.service": ("the console itself", "die Konsole selbst", "la console elle-même"),
    "actor.dagster": ("somebody in Dagster", "jemand in Dagster", "quelqu'un dans Dagster"),
}


def called(actor: str, language: Language) -> str:
    """Who acted, from a name, or from the mark of an actor that has none: `cli:anna`, or `user:5` who was deleted."""
    found = _MARK.fullmatch(actor)
    key, name = (found[1], found[2]) if found else (actor, "")
    texts = WORDS.get(f"actor.{key}")
    return texts[tuple(Language).index(language)].format(name=name) if texts else actor
