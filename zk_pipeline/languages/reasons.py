"""The names of the reasons for which an entry waits, in each language; the console and documents share them."""

from collections.abc import Mapping

WORDS: Mapping[str, tuple[str, str, str]] = {
    "reason.zero": ("Zero minutes", "Null Minuten", "Zéro minute"),
    "reason.corrected_to_zero": ("Corrected to zero", "Auf null korrigiert", "Corrigé à zéro"),
    "reason.correction": ("Correction", "Korrektur", "Correction"),
    "reason.adjusted": ("Adjusted", "Ausgeglichen", "Ajusté"),
    "reason.unmapped_user": ("Agent not mapped", "Agent nicht zugeordnet", "Agent sans correspondance"),
    "reason.unmapped_activity": ("Type not mapped", "Tätigkeit nicht zugeordnet", "Type sans correspondance"),
    "reason.unmapped_customer": ("Customer not mapped", "Kunde nicht zugeordnet", "Client sans correspondance"),
    "reason.unknown_ticket": ("Ticket not readable", "Ticket nicht lesbar", "Ticket illisible"),
    "reason.malformed_booking": ("Booking unreadable", "Buchung nicht lesbar", "Saisie illisible"),
    "reason.running_timer": ("Timer running", "Uhr läuft", "Minuteur en marche"),
    "reason.malformed_timesheet": ("Time sheet unreadable", "Zeiteintrag nicht lesbar", "Feuille illisible"),
    "reason.duplicate": ("Probably a duplicate", "Wahrscheinlich doppelt", "Probablement un doublon"),
    "reason.ambiguous": ("More than one match", "Mehr als ein Treffer", "Plus d'une correspondance"),
    "reason.fuzzy_candidate": ("Very similar", "Sehr ähnlich", "Très semblable"),
    "reason.kimai_edited": ("Changed in Kimai", "In Kimai geändert", "Modifié dans Kimai"),
    "reason.both_changed": ("Changed on both sides", "Beidseitig geändert", "Modifié des deux côtés"),
    "reason.deleted_in_kimai": ("Deleted in Kimai", "In Kimai gelöscht", "Supprimé dans Kimai"),
    "reason.unseen_in_kimai": ("Not visible in Kimai", "In Kimai nicht sichtbar", "Invisible dans Kimai"),
    "reason.deleted_in_zammad": ("Deleted in Zammad", "In Zammad gelöscht", "Supprimé dans Zammad"),
    "reason.billed": ("Billed already", "Schon abgerechnet", "Déjà facturé"),
    "reason.locked_period": ("Period is closed", "Zeitraum abgeschlossen", "Période clôturée"),
    "reason.no_free_place": ("No free place", "Kein freier Platz", "Pas de place libre"),
    "reason.unmatched_correction": ("Correction fits nothing", "Korrektur ohne Gegenstück", "Correction orpheline"),
    "reason.refused_by_kimai": ("Refused by Kimai", "Von Kimai abgelehnt", "Refusé par Kimai"),
    "reason.marker_cloned": ("Marker duplicated", "Kennzeichen verdoppelt", "Marqueur dupliqué"),
    "reason.changed_after_billing": (
        "Changed after billing",
        "Nach der Abrechnung geändert",
        "Modifiée après facturation",
    ),
    "reason.billed_copy": ("Billed duplicate", "Abgerechnetes Doppel", "Doublon facturé"),
    "reason.merged_ticket": ("Ticket was merged", "Ticket zusammengeführt", "Ticket fusionné"),
}
