"""How a document looks: its language and words, its letterhead, its font, and whether it is for the house alone."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo

from zk_pipeline.settings import Settings


class Language(StrEnum):
    """The languages of a document, in the order of its words."""

    ENGLISH = "en"
    GERMAN = "de"
    FRENCH = "fr"


@dataclass(frozen=True, slots=True)
class Look:
    """`internal` adds what a customer is not shown. Without `font` one of the machine's is taken."""

    zone: ZoneInfo
    letterhead: str = ""
    font: Path | None = None
    language: Language = Language.ENGLISH
    internal: bool = False

    def word(self, key: str, **values: object) -> str:
        """A text in the language, with the values in it."""
        return _WORDS[key][tuple(Language).index(self.language)].format(**values)

    def day(self, day: date) -> str:
        """A day as the language writes it."""
        return {
            Language.ENGLISH: day.isoformat(),
            Language.GERMAN: f"{day:%d.%m.%Y}",
            Language.FRENCH: f"{day:%d/%m/%Y}",
        }[self.language]

    def number(self, digits: str) -> str:
        """A number's digits with the language's decimal mark."""
        return digits if self.language is Language.ENGLISH else digits.replace(".", ",")


def look_of(settings: Settings, language: Language = Language.ENGLISH, *, internal: bool = False) -> Look:
    """The look that the settings give."""
    return Look(settings.zone, settings.statement_letterhead, settings.statement_font, language, internal)


_WORDS = {
    "title": ("Statement of time", "Zeitnachweis", "Relevé de temps"),
    "period": ("Period", "Zeitraum", "Période"),
    "to": ("{first} to {last}", "{first} bis {last}", "{first} au {last}"),
    "draft": (
        "Draft: not all time of this period is settled yet.",
        "Entwurf: Noch ist nicht alle Zeit dieses Zeitraums geklärt.",
        "Brouillon : tout le temps de cette période n'est pas encore réglé.",
    ),
    "agent": ("Person", "Person", "Personne"),
    "activity": ("Activity", "Tätigkeit", "Activité"),
    "entries": ("Bookings", "Buchungen", "Saisies"),
    "minutes": ("Minutes", "Minuten", "Minutes"),
    "hours": ("Hours", "Stunden", "Heures"),
    "billable": ("Billable", "Abrechenbar", "Facturable"),
    "sum": ("Sum", "Summe", "Somme"),
    "total": ("Total", "Gesamt", "Total"),
    "nothing": ("No time was booked.", "Es wurde keine Zeit gebucht.", "Aucun temps n'a été saisi."),
    "per_day": ("Minutes per day", "Minuten je Tag", "Minutes par jour"),
    "page": ("Page {page} of {pages}", "Seite {page} von {pages}", "Page {page} sur {pages}"),
    "internal": (
        "For internal use: where every minute went",
        "Nur intern: wo jede Minute geblieben ist",
        "Usage interne : où est allée chaque minute",
    ),
    "zammad": ("booked in Zammad", "in Zammad gebucht", "saisies dans Zammad"),
    "kimai": ("in Kimai", "in Kimai", "dans Kimai"),
    "waiting": ("waiting", "wartend", "en attente"),
    "excluded": ("excluded", "ausgenommen", "exclues"),
    "rounding": ("rounding", "Rundung", "arrondi"),
    "corrections_open": ("corrections open", "offene Korrekturen", "corrections ouvertes"),
    "netted": ("netted", "verrechnet", "compensées"),
    "agreed": ("agreed", "anerkannt", "acceptées"),
    "adjusted": ("adjusted", "nachgebucht", "régularisées"),
    "unexplained": ("unexplained", "ungeklärt", "inexpliquées"),
}
