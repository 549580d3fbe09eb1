"""The texts of statement files in English, German and French."""

from collections.abc import Mapping

from zk_pipeline.languages import reasons

WORDS: Mapping[str, tuple[str, str, str]] = {
    **reasons.WORDS,
    "title": ("Service record", "Leistungsnachweis", "Relevé de prestations"),
    "period": ("Period", "Zeitraum", "Période"),
    "to": ("{first} to {last}", "{first} bis {last}", "{first} au {last}"),
    "draft": (
        "Draft: not all time of this period is settled yet.",
        "Entwurf: Noch ist nicht alle Zeit dieses Zeitraums geklärt.",
        "Brouillon : tout le temps de cette période n'est pas encore réglé.",
    ),
    "credits_open": (
        "Open credits: {time}.",
        "Offene Gutschriften: {time}.",
        "Avoirs ouverts : {time}.",
    ),
    "conflicts_open": ("Open conflicts: {listed}.", "Offene Konflikte: {listed}.", "Conflits ouverts : {listed}."),
    "corrections_left": (
        "Open corrections: {time}.",
        "Offene Korrekturen: {time}.",
        "Corrections ouvertes : {time}.",
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
        "Kimai adds up to {time}.",
        "Kimai kommt auf {time}.",
        "Kimai totalise {time}.",
    ),
    "nothing_yet": (
        "The time of this period is not settled yet.",
        "Die Zeit dieses Zeitraums ist noch nicht geklärt.",
        "Le temps de cette période n'est pas encore réglé.",
    ),
    "nothing_billed": (
        "No time of this period is billed.",
        "Aus diesem Zeitraum wird keine Zeit abgerechnet.",
        "Aucun temps de cette période n'est facturé.",
    ),
    "credits_time": (
        "Open credits: {time} h.",
        "Offene Gutschriften: {time} h.",
        "Avoirs ouverts : {time} h.",
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
    "outdated": (
        (
            "Closed on {day}{by}. Days that changed since this statement was made: {days}. Make it again to see "
            "whether it still equals the closed one."
        ),
        (
            "Am {day}{by} abgeschlossen. Tage, die sich seit diesem Nachweis geändert haben: {days}. Erstellen Sie ihn "
            "neu, um zu sehen, ob er noch dem abgeschlossenen gleicht."
        ),
        (
            "Clos le {day}{by}. Jours modifiés depuis ce relevé : {days}. Établissez-le de nouveau pour voir s'il est "
            "encore égal à celui qui a été clos."
        ),
    ),
    "not_kept": ("Closed on {day}{by}.", "Am {day}{by} abgeschlossen.", "Clos le {day}{by}."),
    "reopened": ("Opened again on {day}.", "Am {day} wieder geöffnet.", "Rouvert le {day}."),
    "pseudonymized": (
        "The names of people who were erased since are replaced.",
        "Die Namen seither gelöschter Personen sind ersetzt.",
        "Les noms des personnes effacées depuis sont remplacés.",
    ),
    "hash": (
        "Hash of the closed statement: {hash}",
        "Hash des abgeschlossenen Nachweises: {hash}",
        "Empreinte du relevé clos : {hash}",
    ),
    "draft_mark": ("DRAFT", "ENTWURF", "BROUILLON"),
    "items": ("Time by ticket", "Zeit nach Ticket", "Temps par ticket"),
    "items.as_closed": (
        "Amounts are those of the day on which the month was closed.",
        "Die Beträge sind die des Tages, an dem der Monat abgeschlossen wurde.",
        "Les montants sont ceux du jour de la clôture du mois.",
    ),
    "items.own": ("Bookings of the month", "Buchungen des Monats", "Saisies du mois"),
    "items.all": ("Total in Kimai", "Gesamt in Kimai", "Total dans Kimai"),
    "item.copies": ("a copied time sheet", "kopierter Zeiteintrag", "feuille de temps copiée"),
    "item.not_from_a_ticket": ("not from a ticket", "nicht aus einem Ticket", "sans ticket"),
    "item.of_other_months": (
        "booked in another month",
        "in einem anderen Monat gebucht",
        "saisi un autre mois",
    ),
    "item.in_other_months": (
        "taken off: it lies in another month",
        "abgezogen: liegt in einem anderen Monat",
        "retiré : figure dans un autre mois",
    ),
    "item.adjusts": ("adjustment for {day}", "Nachtrag zum {day}", "régularisation du {day}"),
    "item.not_billable": ("not billable", "nicht abrechenbar", "non facturable"),
    "credits": ("Credits of this month", "Gutschriften dieses Monats", "Avoirs de ce mois"),
    "credits.about": (
        "They are not part of the sums above.",
        "Sie sind nicht Teil der Summen oben.",
        "Ils ne font pas partie des sommes ci-dessus.",
    ),
    "adjusted_later": (
        "Adjusted and credited later",
        "Später nachgetragen und gutgeschrieben",
        "Régularisé et crédité plus tard",
    ),
    "adjusted_later.about": (
        "This stands in the statement of the month in which it was booked, and not in the sums above.",
        "Das steht im Nachweis des Monats, in dem es gebucht wurde, und nicht in den Summen oben.",
        "Cela figure au relevé du mois de la régularisation, et non dans les sommes ci-dessus.",
    ),
    "adjustment.credit": ("credit for {day}", "Gutschrift zum {day}", "avoir pour le {day}"),
    "adjustment.credited": ("credit of {day}", "Gutschrift vom {day}", "avoir du {day}"),
    "adjustment.booked": ("adjustment of {day}", "Nachtrag vom {day}", "régularisation du {day}"),
    "adjustment.open": ("open", "offen", "ouvert"),
    "adjustment.settled": ("settled: {note}", "erledigt: {note}", "réglé : {note}"),
    "no_type": ("(no type)", "(ohne Art)", "(sans type)"),
    "date": ("Date", "Datum", "Date"),
    "ticket": ("Ticket", "Ticket", "Ticket"),
    "about": ("Subject", "Betreff", "Objet"),
    "cost": ("Amount", "Betrag", "Montant"),
    "agent": ("Person", "Person", "Personne"),
    "activity": ("Activity", "Tätigkeit", "Activité"),
    "entries": ("Bookings", "Buchungen", "Saisies"),
    "time": ("Time", "Zeit", "Temps"),
    "billable": ("Billable", "Abrechenbar", "Facturable"),
    "sum": ("Sum", "Summe", "Somme"),
    "total": ("Total", "Gesamt", "Total"),
    "nothing": ("No time was booked.", "Es wurde keine Zeit gebucht.", "Aucun temps n'a été saisi."),
    "per_day": ("Time per day", "Zeit je Tag", "Temps par jour"),
    "page": ("Page {page} of {pages}", "Seite {page} von {pages}", "Page {page} sur {pages}"),
    "amount": (
        "To be paid for the month: {amount} without tax.",
        "Für den Monat zu zahlen: {amount} ohne Steuer.",
        "À payer pour le mois : {amount} hors taxes.",
    ),
    "of_state": (
        "{state}: {amount} ({time})",
        "{state}: {amount} ({time})",
        "{state} : {amount} ({time})",
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
            "where it was billed elsewhere, accept the difference."
        ),
        (
            "Aus allen Monaten sind {exported} exportiert und {invoiced} in Rechnung gestellt: Gehen {difference} "
            "verloren? Eine Rechnung wurde storniert oder gelöscht, oder es wurde ohne Rechnung exportiert. Nehmen Sie "
            "in Kimai „exportiert“ zurück und stellen Sie neu in Rechnung; wo anderswo abgerechnet wurde, nehmen "
            "Sie den Unterschied an."
        ),
        (
            "Tous mois confondus, {exported} sont exportés et {invoiced} facturés : {difference} sont-ils perdus ? Une "
            "facture a été annulée ou supprimée, ou un export fait sans facture. Retirez « exporté » dans Kimai et "
            "facturez de nouveau ; si c'est facturé ailleurs, acceptez l'écart."
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
        "Not compared with invoices yet; the nightly check does that.",
        "Noch nicht mit Rechnungen verglichen; das tut die nächtliche Prüfung.",
        "Pas encore comparé aux factures ; le contrôle nocturne le fera.",
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
    "sheet.summary": ("Summary", "Übersicht", "Récapitulatif"),
    "sheet.items": ("Time sheets", "Zeiteinträge", "Feuilles de temps"),
    "sheet.adjustments": ("Adjustments and credits", "Nachträge und Gutschriften", "Régularisations et avoirs"),
    "sheet.invoices": ("Invoices", "Rechnungen", "Factures"),
    "column.customer": ("customer", "Kunde", "client"),
    "column.customer id": ("customer id", "Kundennummer", "n° de client"),
    "column.date": ("date", "Datum", "date"),
    "column.ticket": ("ticket", "Ticket", "ticket"),
    "column.subject": ("subject", "Betreff", "objet"),
    "column.agent": ("agent", "Person", "personne"),
    "column.e-mail": ("e-mail", "E-Mail", "e-mail"),
    "column.activity": ("activity", "Tätigkeit", "activité"),
    "column.what": ("what", "Art", "nature"),
    "column.adjusted day": ("adjusted day", "nachgetragener Tag", "jour régularisé"),
    "column.billable": ("billable", "abrechenbar", "facturable"),
    "column.booking": ("booking", "Buchung", "saisie"),
    "column.time sheet": ("time sheet", "Zeiteintrag", "feuille de temps"),
    "column.currency": ("currency", "Währung", "devise"),
    "column.minutes": ("minutes", "Minuten", "minutes"),
    "column.amount": ("amount", "Betrag", "montant"),
    "column.day of booking": ("day of booking", "Tag der Buchung", "jour de la saisie"),
    "column.booked on": ("booked on", "gebucht am", "saisi le"),
    "column.state": ("state", "Stand", "état"),
    "column.note": ("note", "Bemerkung", "remarque"),
    "column.number": ("number", "Nummer", "numéro"),
    "column.made on": ("made on", "erstellt am", "établie le"),
    "column.status": ("status", "Stand in Kimai", "statut dans Kimai"),
    "column.total without tax": ("total without tax", "Summe ohne Steuer", "total HT"),
    "column.tax": ("tax", "Steuer", "taxe"),
    "column.entries": ("entries", "Buchungen", "saisies"),
    "column.zammad": ("zammad", "Zammad", "Zammad"),
    "column.kimai": ("kimai", "Kimai", "Kimai"),
    "column.waiting": ("waiting", "wartend", "en attente"),
    "column.excluded": ("excluded", "ausgenommen", "exclues"),
    "column.rounding": ("rounding", "Rundung", "arrondi"),
    "column.corrections_open": ("corrections open", "offene Korrekturen", "corrections ouvertes"),
    "column.netted": ("netted", "verrechnet", "compensées"),
    "column.agreed": ("agreed", "anerkannt", "acceptées"),
    "column.adjusted": ("adjusted", "nachgebucht", "régularisées"),
    "column.unexplained": ("unexplained", "ungeklärt", "inexpliquées"),
    "column.billed": ("billed", "abgerechnet", "facturées"),
    "column.to_be_billed": ("to be billed", "abzurechnen", "à facturer"),
    "column.total": ("total", "Gesamt", "total"),
    "cell.yes": ("yes", "ja", "oui"),
    "cell.no": ("no", "nein", "non"),
    "cell.credit": ("credit", "Gutschrift", "avoir"),
    "cell.adjustment": ("adjustment", "Nachtrag", "régularisation"),
    "cell.booking": ("booking", "Buchung", "saisie"),
    "cell.copies": ("copies", "kopiert", "copiée"),
    "cell.not_from_a_ticket": ("not from a ticket", "nicht aus einem Ticket", "sans ticket"),
    "cell.of_other_months": ("of other months", "aus anderen Monaten", "d'autres mois"),
    "cell.in_other_months": ("in other months", "in anderen Monaten", "dans d'autres mois"),
    "cell.new": ("new", "neu", "nouvelle"),
    "cell.pending": ("pending", "offen", "en attente"),
    "cell.paid": ("paid", "bezahlt", "payée"),
    "cell.canceled": ("canceled", "storniert", "annulée"),
    "cell.booked": ("booked", "gebucht", "saisie"),
    "cell.open": ("open", "offen", "ouvert"),
    "cell.settled": ("settled", "erledigt", "réglé"),
    "verdict.balanced": ("balanced", "ausgeglichen", "équilibré"),
    "verdict.waiting": ("waiting", "es wartet noch Zeit", "en attente"),
    "verdict.unbalanced": ("unbalanced", "nicht ausgeglichen", "non équilibré"),
}
