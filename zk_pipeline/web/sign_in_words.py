"""The texts of the sign-in page: English, German, French."""

from collections.abc import Mapping

from zk_pipeline.web.console.words import Language

WORDS: Mapping[str, tuple[str, str, str]] = {
    "title": ("Sign in", "Anmelden", "Connexion"),
    "lead": (
        "Zammad's time accountings in Kimai",
        "Die Zeiterfassung aus Zammad in Kimai",
        "Les temps de Zammad dans Kimai",
    ),
    "email": ("E-mail", "E-Mail", "E-mail"),
    "password": ("Password", "Passwort", "Mot de passe"),
    "submit": ("Sign in", "Anmelden", "Se connecter"),
    "provider": ("Sign in with {name}", "Mit {name} anmelden", "Se connecter avec {name}"),
    "wrong": (
        "E-mail or password is wrong. Try again, or ask an admin for a new password.",
        "E-Mail oder Passwort ist falsch. Noch ein Versuch? Ein neues Passwort gibt es bei einem Admin.",
        "L'e-mail ou le mot de passe est faux. Réessayez ou demandez un nouveau mot de passe à un admin.",
    ),
    "throttled": (
        "There were too many failed sign-ins. Try again in {seconds} seconds.",
        "Es gab zu viele fehlgeschlagene Anmeldungen. Versuchen Sie es in {seconds} Sekunden noch einmal.",
        "Il y a eu trop de connexions refusées. Réessayez dans {seconds} secondes.",
    ),
    "onward": ("Going on …", "Es geht weiter …", "On continue …"),
}


def word(language: Language, key: str, **values: object) -> str:
    """The text under this key with the values in it."""
    return WORDS[key][tuple(Language).index(language)].format(**values)
