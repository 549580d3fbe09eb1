"""How a document looks: its language and words, its letterhead, its font, and whether it is for the house alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo

from zk_pipeline.domain.closing import Closing
from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.spreadsheets import Dialect
from zk_pipeline.domain.statement import ZERO, Account, beside_of, plain, questions_of
from zk_pipeline.settings import Settings


class Language(StrEnum):
    """The languages of a document, in the order of its words."""

    ENGLISH = "en"
    GERMAN = "de"
    FRENCH = "fr"


@dataclass(frozen=True, slots=True)
class Look:
    """`internal` adds what a customer is not shown. Without `font` one of the machine's is taken. `csv` is for CSV."""

    zone: ZoneInfo
    letterhead: str = ""
    font: Path | None = None
    language: Language = Language.ENGLISH
    internal: bool = False
    csv: Dialect = Dialect.PLAIN

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

    @classmethod
    def plain(cls) -> "Look":
        """That of programs: English, and UTC."""
        return cls(ZoneInfo("UTC"))

    def instant(self, instant: datetime) -> str:
        """A day and time of day in the zone."""
        local = instant.astimezone(self.zone)
        return f"{self.day(local.date())} {local:%H:%M}"

    def of_credits(self, minutes: Decimal) -> str:
        """The sentence on open credits; empty without any."""
        return self.word("credits_open", minutes=self.minutes(minutes)) if minutes else ""

    def of_questions(self, accounts: Sequence[Account]) -> str:
        """The sentences on open conflicts and open corrections; empty without any."""
        questions = questions_of(accounts)
        listed = ", ".join(
            f"{number} {reason} ({self.word('min', minutes=self.minutes(minutes))})"
            for reason, (number, minutes) in questions.items()
        )
        corrections = sum((abs(line.amounts.corrections_open) for row in accounts for line in row.lines), ZERO)
        told = [self.word("conflicts_open", listed=listed)] if listed else []
        if corrections:
            told.append(self.word("corrections_left", minutes=self.minutes(corrections)))
        return " ".join(told)

    def of_beside(self, accounts: Sequence[Account]) -> str:
        """The sentence on time in Kimai beside the month's bookings, and on Kimai's own sum; empty without any."""
        beside = beside_of(accounts)
        if not beside:
            return ""
        listed = "; ".join(
            self.word("timesheets.one" if number == 1 else "timesheets.many", number=number)
            + f", {self.word('min', minutes=self.minutes(minutes))}, {self.word(origin)}"
            for origin, (number, minutes) in beside.items()
        )
        whole = self.minutes(sum((account.kimai_in_all for account in accounts), ZERO))
        about = "beside" if len(accounts) == 1 else "beside_all"
        return f"{self.word(about, listed=listed)} {self.word('kimai_in_all', minutes=whole)}"

    def minutes(self, minutes: Decimal) -> str:
        """Minutes as the language writes them."""
        return self.number(plain(minutes))

    def of_closing(self, closing: Closing, *, named: bool = True) -> str:
        """When the statement's month was closed, and whether this is what was closed; `named` tells by whom."""
        by = self.word("by", by=closing.by) if named else ""
        told = [self.word(closing.kind, day=self._day_of(closing.at), by=by)]
        if closing.reopened_at is not None:
            told.append(self.word("reopened", day=self._day_of(closing.reopened_at)))
        if closing.shown and closing.pseudonymized:
            told.append(self.word("pseudonymized"))
        return " ".join(told)

    def _day_of(self, instant: datetime) -> str:
        return self.day(local_day(instant, self.zone))


def look_of(
    settings: Settings,
    language: Language = Language.ENGLISH,
    *,
    internal: bool = False,
    csv: Dialect = Dialect.PLAIN,
) -> Look:
    """The look that the settings give."""
    return Look(settings.zone, settings.statement_letterhead, settings.statement_font, language, internal, csv)


_WORDS = {
    "title": ("Statement of time", "Zeitnachweis", "Relevé de temps"),
    "period": ("Period", "Zeitraum", "Période"),
    "to": ("{first} to {last}", "{first} bis {last}", "{first} au {last}"),
    "draft": (
        "Draft: not all time of this period is settled yet.",
        "Entwurf: Noch ist nicht alle Zeit dieses Zeitraums geklärt.",
        "Brouillon : tout le temps de cette période n'est pas encore réglé.",
    ),
    "credits_open": (
        "Open credits: {minutes} minutes.",
        "Offene Gutschriften: {minutes} Minuten.",
        "Avoirs ouverts : {minutes} minutes.",
    ),
    "conflicts_open": ("Open conflicts: {listed}.", "Offene Konflikte: {listed}.", "Conflits ouverts : {listed}."),
    "corrections_left": (
        "Open corrections: {minutes} minutes.",
        "Offene Korrekturen: {minutes} Minuten.",
        "Corrections ouvertes : {minutes} minutes.",
    ),
    "min": ("{minutes} min", "{minutes} min", "{minutes} min"),
    "beside": (
        "Also in Kimai for this customer: {listed}.",
        "Außerdem in Kimai für diesen Kunden: {listed}.",
        "Également dans Kimai pour ce client : {listed}.",
    ),
    "beside_all": (
        "Also in Kimai for these customers: {listed}.",
        "Außerdem in Kimai für diese Kunden: {listed}.",
        "Également dans Kimai pour ces clients : {listed}.",
    ),
    "timesheets.one": ("{number} time sheet", "{number} Zeiteintrag", "{number} feuille de temps"),
    "timesheets.many": ("{number} time sheets", "{number} Zeiteinträge", "{number} feuilles de temps"),
    "copies": ("copied from ours", "aus unseren kopiert", "copiées des nôtres"),
    "not_from_a_ticket": ("not from a ticket", "nicht aus einem Ticket", "sans ticket"),
    "of_other_months": (
        "of bookings of other months",
        "von Buchungen anderer Monate",
        "de saisies d'autres mois",
    ),
    "in_other_months": (
        "of this month's bookings that lie in other months",
        "von Buchungen dieses Monats, die in anderen Monaten liegen",
        "de saisies de ce mois placées dans d'autres mois",
    ),
    "kimai_in_all": (
        "Kimai adds up to {minutes} minutes.",
        "Kimai kommt auf {minutes} Minuten.",
        "Kimai totalise {minutes} minutes.",
    ),
    "nothing_yet": (
        "No time is in Kimai yet.",
        "Noch ist keine Zeit in Kimai.",
        "Aucun temps n'est encore dans Kimai.",
    ),
    "by": (" by {by}", " durch {by}", " par {by}"),
    "as_closed": ("As closed on {day}{by}.", "Wie am {day}{by} abgeschlossen.", "Tel que clos le {day}{by}."),
    "unchanged": (
        "Closed on {day}{by}, and unchanged since.",
        "Am {day}{by} abgeschlossen und seither unverändert.",
        "Clos le {day}{by}, et inchangé depuis.",
    ),
    "differs": (
        "Closed on {day}{by}. This statement differs from the closed one.",
        "Am {day}{by} abgeschlossen. Dieser Nachweis weicht vom abgeschlossenen ab.",
        "Clos le {day}{by}. Ce relevé diffère de celui qui a été clos.",
    ),
    "not_kept": ("Closed on {day}{by}.", "Am {day}{by} abgeschlossen.", "Clos le {day}{by}."),
    "reopened": ("Opened again on {day}.", "Am {day} wieder geöffnet.", "Rouvert le {day}."),
    "pseudonymized": (
        "The names of people who were erased since are replaced.",
        "Die Namen seither gelöschter Personen sind ersetzt.",
        "Les noms des personnes effacées depuis sont remplacés.",
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
    "amount": (
        "To be paid for the month: {amount} without tax.",
        "Für den Monat zu zahlen: {amount} ohne Steuer.",
        "À payer pour le mois : {amount} hors taxes.",
    ),
    "of_state": (
        "{state}: {amount} ({minutes} min)",
        "{state}: {amount} ({minutes} min)",
        "{state} : {amount} ({minutes} min)",
    ),
    "billing.to_be_billed": ("To be billed", "Abzurechnen", "À facturer"),
    "billing.invoiced": ("Invoiced", "In Rechnung gestellt", "Facturé"),
    "billing.exported": (
        "Exported, and the invoices do not add up to it",
        "Exportiert, und die Rechnungen ergeben es nicht",
        "Exporté, sans que les factures y correspondent",
    ),
    "billing.exported_without_invoice": (
        "Exported without invoice",
        "Exportiert ohne Rechnung",
        "Exporté sans facture",
    ),
    "billing.exported_not_billable": (
        "Exported, not billable",
        "Exportiert, nicht abrechenbar",
        "Exporté, non facturable",
    ),
    "billing.tagged": ("Tagged as billed", "Als abgerechnet markiert", "Marqué comme facturé"),
    "billing.not_billable": ("Not billable", "Nicht abrechenbar", "Non facturable"),
    "invoices": ("Invoices, without tax: {listed}.", "Rechnungen, ohne Steuer: {listed}.", "Factures, HT : {listed}."),
    "unpriced": (
        (
            "Billable time sheets at 0.00, since nobody set a rate: {number}. Set a rate in Kimai and save them again "
            "before the month is invoiced."
        ),
        (
            "Abrechenbare Zeiteinträge zu 0,00, weil niemand einen Satz festgelegt hat: {number}. Legen Sie in Kimai "
            "einen fest und speichern Sie sie neu, bevor der Monat in Rechnung gestellt wird."
        ),
        (
            "Feuilles de temps facturables à 0,00, faute de taux : {number}. Fixez un taux dans Kimai et "
            "enregistrez-les de nouveau avant de facturer le mois."
        ),
    ),
    "unread": (
        (
            "Time sheets whose amount Kimai does not show to our account: {number}. The sums are without them; give "
            "the account view_rate_other_timesheet."
        ),
        (
            "Zeiteinträge, deren Betrag Kimai unserem Konto nicht zeigt: {number}. Die Summen sind ohne sie; geben Sie "
            "dem Konto view_rate_other_timesheet."
        ),
        (
            "Feuilles de temps dont Kimai ne montre pas le montant à notre compte : {number}. Les sommes sont sans "
            "elles ; donnez-lui view_rate_other_timesheet."
        ),
    ),
    "too_little_invoiced": (
        (
            "Of all months {exported} are exported and {invoiced} invoiced: is {difference} lost? An invoice was "
            "cancelled or deleted, or there was an export without one. Take “exported” off in Kimai and invoice again; "
            "where it was billed elsewhere, accept the difference (zk invoices accept)."
        ),
        (
            "Aus allen Monaten sind {exported} exportiert und {invoiced} in Rechnung gestellt: Gehen {difference} "
            "verloren? Eine Rechnung wurde storniert oder gelöscht, oder es wurde ohne Rechnung exportiert. Nehmen Sie "
            "in Kimai „exportiert“ zurück und stellen Sie neu in Rechnung; wo anderswo abgerechnet wurde, nehmen "
            "Sie den Unterschied an (zk invoices accept)."
        ),
        (
            "Tous mois confondus, {exported} sont exportés et {invoiced} facturés : {difference} sont-ils perdus ? Une "
            "facture a été annulée ou supprimée, ou un export fait sans facture. Retirez « exporté » dans Kimai et "
            "facturez de nouveau ; si c'est facturé ailleurs, acceptez l'écart (zk invoices accept)."
        ),
    ),
    "accepted": (
        "Of all months {exported} are exported and {invoiced} invoiced; {difference} of difference accepted by {by}.",
        (
            "Aus allen Monaten sind {exported} exportiert und {invoiced} in Rechnung gestellt: Die {difference} "
            "dazwischen hat akzeptiert: {by}."
        ),
        (
            "Tous mois confondus, {exported} sont exportés et {invoiced} facturés : l'écart de {difference} a été "
            "accepté par {by}."
        ),
    ),
    "too_much_invoiced": (
        (
            "Of all months {exported} are exported and {invoiced} invoiced: is {difference} invoiced too much? A time "
            "sheet was changed, deleted or un-exported after its invoice. Restore it, or cancel the invoice and "
            "invoice again."
        ),
        (
            "Aus allen Monaten sind {exported} exportiert und {invoiced} in Rechnung gestellt: Sind {difference} zu "
            "viel berechnet? Ein Zeiteintrag wurde nach seiner Rechnung geändert, gelöscht oder zurückgenommen. "
            "Stellen Sie ihn wieder her, oder stornieren Sie die Rechnung und stellen Sie neu in Rechnung."
        ),
        (
            "Tous mois confondus, {exported} sont exportés et {invoiced} facturés : {difference} sont-ils facturés en "
            "trop ? Une feuille de temps a changé après sa facture, ou n'est plus exportée. Rétablissez-la, ou annulez "
            "la facture et facturez de nouveau."
        ),
    ),
    "read": ("Last read: {sides}.", "Zuletzt gelesen: {sides}.", "Dernière lecture : {sides}."),
    "oldest": (
        "{latest} (some days {oldest})",
        "{latest} (manche Tage {oldest})",
        "{latest} (certains jours {oldest})",
    ),
    "never": ("never", "nie", "jamais"),
    "compared": (
        "Compared with Kimai's invoices: {instant}.",
        "Mit Kimais Rechnungen verglichen: {instant}.",
        "Comparé aux factures de Kimai : {instant}.",
    ),
    "not_compared": (
        "Not compared with invoices: {problem}",
        "Nicht mit Rechnungen verglichen: {problem}",
        "Non comparé aux factures : {problem}",
    ),
    "never_compared": (
        "Not compared with invoices yet; the deep check does, and zk statement MONTH --invoices.",
        "Noch nicht mit Rechnungen verglichen; das tun die gründliche Prüfung und zk statement MONAT --invoices.",
        "Pas encore comparé aux factures ; le contrôle approfondi le fait, et zk statement MOIS --invoices.",
    ),
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
