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
    "code.lead": ("The second step", "Der zweite Schritt", "La deuxième étape"),
    "code": ("Code of your app", "Code Ihrer App", "Code de votre application"),
    "code.recovery": ("Recovery code", "Ersatzcode", "Code de secours"),
    "code.submit": ("Go on", "Weiter", "Continuer"),
    "code.lost": ("Use a recovery code", "Ersatzcode verwenden", "Utiliser un code de secours"),
    "code.app": ("Use the code of your app", "Code der App verwenden", "Utiliser le code de l'application"),
    "code.back": ("Sign in as somebody else", "Als jemand anderes anmelden", "Se connecter autrement"),
    "code.wrong": (
        "The code is wrong, or was used before. Type the one that the app shows now.",
        "Der Code ist falsch oder wurde schon verwendet. Geben Sie den ein, den die App jetzt zeigt.",
        "Le code est faux ou a déjà servi. Saisissez celui que l'application affiche maintenant.",
    ),
    "enrol.lead": (
        "A second factor is required here: a code of an app, beside the password.",
        "Hier ist ein zweiter Faktor nötig: der Code einer App, neben dem Passwort.",
        "Un second facteur est exigé ici : le code d'une application, en plus du mot de passe.",
    ),
    "enrol.scan": (
        "Scan this picture with an authenticator app, or type the key into it. Then type the code that it shows.",
        "Scannen Sie das Bild mit einer Authenticator-App, oder geben Sie dort den Schlüssel ein, dann hier den Code.",
        "Scannez cette image avec une application d'authentification ou saisissez-y la clé, puis le code affiché.",
    ),
    "enrol.picture": ("QR code of the key", "QR-Code des Schlüssels", "Code QR de la clé"),
    "enrol.key": ("Key:", "Schlüssel:", "Clé :"),
    "codes.title": ("Recovery codes", "Ersatzcodes", "Codes de secours"),
    "codes.lead": (
        "Keep them where nobody else finds them. If you lose the app, each lets you in once. They are shown only now.",
        "Bewahren Sie sie sicher auf. Ohne die App lässt jeder Sie einmal hinein. Sie werden nur jetzt gezeigt.",
        "Gardez-les en lieu sûr. Sans l'application, chacun sert une fois. Ils ne sont affichés que maintenant.",
    ),
    "codes.done": ("I have kept them", "Ich habe sie aufbewahrt", "Je les ai gardés"),
    "onward": ("Going on …", "Es geht weiter …", "On continue …"),
}


def word(language: Language, key: str, **values: object) -> str:
    """The text under this key with the values in it."""
    return WORDS[key][tuple(Language).index(language)].format(**values)
