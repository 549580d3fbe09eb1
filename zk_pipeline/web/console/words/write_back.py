"""Texts of what is written into tickets, for the command line and the audit trail."""

WORDS = {
    "write_back.done.tag.add": ("Tag", "Tag", "Tag"),
    "write_back.done.tag.remove": ("Tag taken off", "Tag entfernt", "Tag retiré"),
    "write_back.done.note.add": ("Note", "Notiz", "Note"),
    "write_back.done.note.remove": ("Note deleted", "Notiz gelöscht", "Note supprimée"),
    "write_back.because.closed": ("The month is closed", "Der Monat ist abgeschlossen", "Le mois est clos"),
    "write_back.because.exported": (
        "All its time sheets are exported",
        "Alle Zeiteinträge sind exportiert",
        "Toutes les feuilles de temps sont exportées",
    ),
    "write_back.because.not_billed": (
        "It is no longer billed",
        "Nicht mehr abgerechnet",
        "Ce n'est plus facturé",
    ),
    "write_back.because.another_name": (
        "The tag has another name now",
        "Der Tag heißt jetzt anders",
        "Le tag porte un autre nom",
    ),
    "write_back.because.undone": ("Taken back", "Zurückgenommen", "Annulé"),
    "write_back.state.due": ("Next", "Als Nächstes", "Ensuite"),
    "write_back.state.approved": ("Approved", "Freigegeben", "Approuvé"),
    "write_back.state.waits": ("Waits for approval", "Wartet auf Freigabe", "Attend l'approbation"),
    "write_back.state.refused": (
        "Refused, tried again",
        "Abgelehnt, neuer Versuch folgt",
        "Refusé, sera réessayé",
    ),
    "event.ticket.written": ("Written into a ticket", "In ein Ticket geschrieben", "Écrit dans un ticket"),
    "event.write_back.approved": (
        "Writing into tickets approved",
        "Schreiben in Tickets freigegeben",
        "Écriture dans les tickets approuvée",
    ),
    "event.write_back.taken_back": (
        "Writing into tickets taken back",
        "Schreiben in Tickets zurückgenommen",
        "Écriture dans les tickets annulée",
    ),
}
