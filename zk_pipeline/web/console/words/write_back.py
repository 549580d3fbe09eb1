"""Texts of what is written into tickets: on the page Month, and at the command line."""

WORDS = {
    "write_back.title": ("Written into tickets", "In Tickets geschrieben", "Écrit dans les tickets"),
    "write_back.about": (
        "What tickets should say of their billed time, and do not say yet.",
        "Was Tickets über ihre abgerechnete Zeit sagen sollen und noch nicht sagen.",
        "Ce que les tickets devraient dire de leur temps facturé et ne disent pas encore.",
    ),
    "write_back.exceeded": (
        "This is more than is written without approval.",
        "Das ist mehr, als ohne Freigabe geschrieben wird.",
        "C'est plus que ce qui est écrit sans approbation.",
    ),
    "write_back.ticket": ("Ticket", "Ticket", "Ticket"),
    "write_back.what": ("What", "Was", "Quoi"),
    "write_back.content": ("Content", "Inhalt", "Contenu"),
    "write_back.hours": ("Hours", "Stunden", "Heures"),
    "write_back.why": ("Why", "Warum", "Pourquoi"),
    "write_back.when": ("When", "Wann", "Quand"),
    "write_back.more": (
        "… and {number} more. They are approved as well.",
        "… und {number} weitere. Auch sie werden freigegeben.",
        "… et {number} de plus, approuvés aussi.",
    ),
    "write_back.approve": (
        "Approve {number} for {month}…",
        "{number} für {month} freigeben…",
        "En approuver {number} pour {month}…",
    ),
    "write_back.approve.title": (
        "Write into tickets for {month}",
        "Für {month} in Tickets schreiben",
        "Écrire dans les tickets pour {month}",
    ),
    "write_back.approve.about": (
        "It can be taken back. Tickets that are changed send their notifications and triggers as always.",
        "Es lässt sich zurücknehmen. Geänderte Tickets lösen ihre Mitteilungen und Trigger aus wie immer.",
        "Cela peut être annulé. Les tickets modifiés envoient leurs notifications et déclencheurs comme toujours.",
    ),
    "write_back.approve.confirm": ("Approve", "Freigeben", "Approuver"),
    "write_back.approved": (
        "Approved. It is written now.",
        "Freigegeben. Es wird jetzt geschrieben.",
        "Approuvé. L'écriture est en cours.",
    ),
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
