"""Texts of the section Month: the statement."""

WORDS = {
    "statement.title": ("Month", "Monat", "Mois"),
    "statement.about": (
        "From the last booking to the closed month, customer by customer.",
        "Von der letzten Buchung bis zum abgeschlossenen Monat, Kunde für Kunde.",
        "De la dernière saisie au mois clos, client par client.",
    ),
    "statement.month": ("Month", "Monat", "Mois"),
    "statement.version": ("Version", "Fassung", "Version"),
    "statement.version.today": ("Today's", "Heutige", "Du jour"),
    "statement.version.closed": ("As closed", "Wie abgeschlossen", "Telle que close"),
    "statement.customer": ("Customer", "Kunde", "Client"),
    "statement.verdict.balanced": ("Balanced", "Geht auf", "Équilibré"),
    "statement.verdict.waiting": ("Balanced, time waits", "Geht auf, Zeit wartet", "Équilibré, du temps attend"),
    "statement.verdict.draft": ("Draft, questions open", "Entwurf, Fragen offen", "Brouillon, questions ouvertes"),
    "statement.verdict.unbalanced": ("Not balanced", "Geht nicht auf", "Non équilibré"),
    "statement.balanced": (
        "Every minute is accounted for.",
        "Jede Minute ist belegt.",
        "Chaque minute est justifiée.",
    ),
    "statement.waiting": (
        "Every minute is accounted for, and some wait for a decision or the next run.",
        "Jede Minute ist belegt, und einige warten auf eine Entscheidung oder den nächsten Lauf.",
        "Chaque minute est justifiée ; certaines attendent une décision ou la prochaine exécution.",
    ),
    "statement.draft": (
        "Every minute is accounted for, and something has to be decided before the month is billed.",
        "Jede Minute ist belegt, und vor der Abrechnung des Monats ist noch etwas zu entscheiden.",
        "Chaque minute est justifiée ; une décision reste à prendre avant de facturer le mois.",
    ),
    "statement.unbalanced": (
        "Sync the days below again: some minutes are not accounted for, and the month cannot be closed before.",
        "Gleichen Sie die Tage unten neu ab: Einige Minuten sind nicht belegt, und vorher ist kein Abschluss möglich.",
        "Resynchronisez les jours ci-dessous : des minutes ne sont pas justifiées, et pas de clôture avant cela.",
    ),
    "statement.decide": ("See what waits", "Zeigen, was wartet", "Voir ce qui attend"),
    "money.too_little_invoiced": (
        "{customer}: {amount} exported, but not invoiced",
        "{customer}: {amount} exportiert, aber nicht in Rechnung gestellt",
        "{customer} : {amount} exportés, mais non facturés",
    ),
    "money.too_little_invoiced.about": (
        (
            "Of all months {exported} are exported and {invoiced} invoiced. Take “exported” off in Kimai and invoice "
            "again. If it was billed elsewhere, accept the difference."
        ),
        (
            "Aus allen Monaten sind {exported} exportiert und {invoiced} in Rechnung gestellt. Nehmen Sie in Kimai "
            "„exportiert“ zurück und stellen Sie neu in Rechnung. Wurde anderswo abgerechnet, akzeptieren Sie den "
            "Unterschied."
        ),
        (
            "Tous mois confondus, {exported} sont exportés et {invoiced} facturés. Retirez « exporté » dans Kimai et "
            "facturez de nouveau. Si c'est facturé ailleurs, acceptez l'écart."
        ),
    ),
    "money.too_much_invoiced": (
        "{customer}: {amount} invoiced, but not exported",
        "{customer}: {amount} in Rechnung gestellt, aber nicht exportiert",
        "{customer} : {amount} facturés, mais non exportés",
    ),
    "money.too_much_invoiced.about": (
        (
            "Of all months {exported} are exported and {invoiced} invoiced. A time sheet changed after its invoice. "
            "Restore it in Kimai, or cancel the invoice and invoice again. If it is right, accept the difference."
        ),
        (
            "Aus allen Monaten sind {exported} exportiert und {invoiced} in Rechnung gestellt. Ein Zeiteintrag wurde "
            "nach seiner Rechnung geändert. Stellen Sie ihn in Kimai wieder her, oder stornieren Sie die Rechnung und "
            "stellen Sie neu in Rechnung. Ist es richtig so, akzeptieren Sie den Unterschied."
        ),
        (
            "Tous mois confondus, {exported} sont exportés et {invoiced} facturés. Une feuille de temps a changé après "
            "sa facture. Rétablissez-la dans Kimai, ou annulez la facture et facturez de nouveau. Si c'est juste, "
            "acceptez l'écart."
        ),
    ),
    "money.unpriced": (
        "Billable time sheets at 0.00: {number}",
        "Abrechenbare Zeiteinträge zu 0,00: {number}",
        "Feuilles de temps facturables à 0,00 : {number}",
    ),
    "money.unpriced.about": (
        "Nobody set a rate. Set one in Kimai and save the time sheets again before the month is invoiced.",
        (
            "Niemand hat einen Satz festgelegt. Legen Sie in Kimai einen fest und speichern Sie die Zeiteinträge neu, "
            "bevor der Monat in Rechnung gestellt wird."
        ),
        (
            "Aucun taux n'est fixé. Fixez-en un dans Kimai et enregistrez de nouveau les feuilles de temps avant de "
            "facturer le mois."
        ),
    ),
    "money.unread": (
        "Time sheets whose amount Kimai does not show: {number}",
        "Zeiteinträge, deren Betrag Kimai nicht zeigt: {number}",
        "Feuilles de temps dont Kimai ne montre pas le montant : {number}",
    ),
    "money.unread.about": (
        "The sums are without them. Give our account in Kimai the permission view_rate_other_timesheet.",
        "Die Summen sind ohne sie. Geben Sie unserem Konto in Kimai das Recht view_rate_other_timesheet.",
        "Les sommes sont sans elles. Donnez à notre compte dans Kimai le droit view_rate_other_timesheet.",
    ),
    "statement.accept.open": ("Accept the difference…", "Unterschied akzeptieren…", "Accepter l'écart…"),
    "statement.accept.title": (
        "Accept the difference of {customer}",
        "Unterschied bei {customer} akzeptieren",
        "Accepter l'écart de {customer}",
    ),
    "statement.accept.about": (
        "The difference then counts as accepted until its amount changes.",
        "Der Unterschied gilt dann als akzeptiert, bis sich sein Betrag ändert.",
        "L'écart est alors accepté tant que son montant ne change pas.",
    ),
    "statement.accept.reason": ("Reason", "Grund", "Motif"),
    "statement.accept.missing": (
        "Say why the difference is right.",
        "Sagen Sie, warum der Unterschied richtig ist.",
        "Indiquez pourquoi l'écart est juste.",
    ),
    "statement.accept.hint": (
        "Such as: paid in cash, receipt 114",
        "Etwa: bar bezahlt, Beleg 114",
        "Par exemple : payé en espèces, reçu 114",
    ),
    "statement.accept": ("Accept", "Akzeptieren", "Accepter"),
    "statement.accept.done": ("Accepted.", "Akzeptiert.", "Accepté."),
    "statement.gaps": ("What does not add up", "Was nicht aufgeht", "Ce qui n'est pas équilibré"),
    "statement.gaps.more.one": ("{number} more", "{number} weitere", "{number} de plus"),
    "statement.gaps.more.many": ("{number} more", "{number} weitere", "{number} de plus"),
    "statement.entry": ("Entry", "Eintrag", "Entrée"),
    "statement.day": ("Day", "Tag", "Jour"),
    "statement.customers": ("Customers", "Kunden", "Clients"),
    "statement.lines": ("Agents and activities", "Agenten und Tätigkeiten", "Agents et activités"),
    "statement.items": ("Time by ticket", "Zeit nach Ticket", "Temps par ticket"),
    "statement.adjustments": (
        "Adjustments and credits",
        "Nachträge und Gutschriften",
        "Régularisations et avoirs",
    ),
    "statement.ticket": ("Ticket", "Ticket", "Ticket"),
    "statement.subject": ("Subject", "Betreff", "Objet"),
    "statement.time": ("Time", "Zeit", "Temps"),
    "statement.amount": ("Amount", "Betrag", "Montant"),
    "statement.agent": ("Agent", "Agent", "Agent"),
    "statement.activity": ("Activity", "Tätigkeit", "Activité"),
    "statement.no_type": ("(no type)", "(ohne Art)", "(sans type)"),
    "statement.entries": ("Bookings", "Buchungen", "Nombre"),
    "statement.per_customer": (
        "Booked hours per day and customer",
        "Gebuchte Stunden je Tag und Kunde",
        "Heures saisies par jour et client",
    ),
    "statement.others": ("All others", "Alle anderen", "Tous les autres"),
    "statement.ages": ("Open conflicts by age", "Offene Konflikte nach Alter", "Conflits ouverts par âge"),
    "statement.ages.none": (
        "No conflict of this month is open.",
        "Kein Konflikt dieses Monats ist offen.",
        "Aucun conflit de ce mois n'est ouvert.",
    ),
    "statement.age": ("Open for", "Offen seit", "Ouverts depuis"),
    "statement.age.under_1_day": ("Under 1 day", "Unter 1 Tag", "Moins d'1 jour"),
    "statement.age.under_7_days": ("Under 7 days", "Unter 7 Tagen", "Moins de 7 jours"),
    "statement.age.under_30_days": ("Under 30 days", "Unter 30 Tagen", "Moins de 30 jours"),
    "statement.age.older": ("Longer", "Länger", "Plus longtemps"),
    "statement.conflicts": ("Conflicts", "Konflikte", "Conflits"),
    "statement.money": ("Amounts and invoices", "Beträge und Rechnungen", "Montants et factures"),
    "statement.total": ("Total", "Zusammen", "Total"),
    "statement.nobody": ("(no customer)", "(kein Kunde)", "(sans client)"),
    "statement.zammad": ("Booked", "Gebucht", "Saisies"),
    "statement.kimai": ("In Kimai", "In Kimai", "Dans Kimai"),
    "statement.waits": ("Waiting", "Wartend", "En attente"),
    "statement.excluded": ("Excluded", "Ausgenommen", "Exclues"),
    "statement.rounding": ("Rounding", "Rundung", "Arrondi"),
    "statement.corrections_open": ("Corrections", "Korrekturen", "Corrections"),
    "statement.netted": ("Netted", "Verrechnet", "Compensées"),
    "statement.agreed": ("Agreed", "Anerkannt", "Acceptées"),
    "statement.adjusted": ("Adjusted", "Nachgebucht", "Régularisées"),
    "statement.unexplained": ("Unexplained", "Ungeklärt", "Inexpliquées"),
    "statement.to_be_billed": ("To be billed", "Abzurechnen", "À facturer"),
    "statement.built": ("As of {instant}.", "Stand: {instant}.", "État au {instant}."),
    "statement.stale.one": (
        "{number} day changed since.",
        "{number} Tag hat sich seither geändert.",
        "{number} jour a changé depuis.",
    ),
    "statement.stale.many": (
        "{number} days changed since.",
        "{number} Tage haben sich seither geändert.",
        "{number} jours ont changé depuis.",
    ),
    "statement.refresh": ("Bring up to date", "Aktualisieren", "Mettre à jour"),
    "statement.refreshing": ("The statement is being made.", "Der Nachweis wird erstellt.", "Le relevé est en cours."),
    "statement.refreshed": (
        "The statement is up to date.",
        "Der Nachweis ist aktuell.",
        "Le relevé est à jour.",
    ),
    "statement.not_refreshed": (
        "The statement could not be made. The run in Dagster says why.",
        "Der Nachweis konnte nicht erstellt werden. Der Lauf in Dagster sagt, warum.",
        "Le relevé n'a pas pu être établi. L'exécution dans Dagster dit pourquoi.",
    ),
    "statement.unmade": ("There is no statement yet.", "Es gibt noch keinen Nachweis.", "Aucun relevé pour l'instant."),
    "statement.unmade.operator": (
        "It is made every night. Bring it up to date to have it now.",
        "Er entsteht jede Nacht. Aktualisieren Sie ihn, um ihn jetzt zu haben.",
        "Il est établi chaque nuit. Mettez-le à jour pour l'avoir maintenant.",
    ),
    "statement.unmade.viewer": (
        "It is made every night. An operator can have it made now.",
        "Er entsteht jede Nacht. Wer bearbeiten darf, kann ihn jetzt erstellen lassen.",
        "Il est établi chaque nuit. Un opérateur peut le demander maintenant.",
    ),
    "statement.nothing": (
        "Nothing was booked in this month.",
        "In diesem Monat wurde nichts gebucht.",
        "Rien n'a été saisi ce mois-ci.",
    ),
    "statement.nothing.hint": (
        "Choose another month above, or run a sync of its days.",
        "Wählen Sie oben einen anderen Monat, oder gleichen Sie seine Tage ab.",
        "Choisissez un autre mois ci-dessus ou synchronisez ses jours.",
    ),
    "statement.download.all": (
        "All customers' PDFs as {format}",
        "PDFs aller Kunden als {format}",
        "Les PDF de tous les clients en {format}",
    ),
    "statement.download": ("Save as {format}", "Als {format} speichern", "Enregistrer en {format}"),
}
