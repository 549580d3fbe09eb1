"""Texts about conflicts: reasons with the next step, decisions with their effects, and the states of things."""

WORDS = {
    "next.unmapped_user": (
        "No Kimai user belongs to this agent. Map the agent, or give the Kimai user the agent's e-mail.",
        "Zu diesem Agenten gehört kein Kimai-Benutzer. Ordnen Sie ihn zu, oder tragen Sie in Kimai seine E-Mail ein.",
        "Aucun utilisateur Kimai pour cet agent. Associez-le, ou donnez son e-mail à l'utilisateur Kimai.",
    ),
    "next.unmapped_activity": (
        "No Kimai activity belongs to this type. Map the type.",
        "Zu dieser Art gehört keine Kimai-Tätigkeit. Ordnen Sie sie zu.",
        "Aucune activité Kimai pour ce type. Associez-le.",
    ),
    "next.unmapped_customer": (
        "It is not clear which Kimai customer this belongs to. Take one of that name, or have a new one created.",
        "Unklar ist, zu welchem Kimai-Kunden das gehört. Nehmen Sie einen vorhandenen, oder lassen Sie einen anlegen.",
        "Le client Kimai n'est pas clair. Prenez-en un du même nom, ou faites-en créer un.",
    ),
    "next.unknown_ticket": (
        "Give the Zammad token's user read access to the ticket's group, then sync the day again.",
        "Geben Sie dem Benutzer des Zammad-Tokens Leserechte auf die Gruppe, und gleichen Sie den Tag noch einmal ab.",
        "Donnez au jeton Zammad l'accès en lecture au groupe du ticket, puis resynchronisez le jour.",
    ),
    "next.malformed_booking": (
        "Nothing is written while Zammad's data cannot be read. Correct it in Zammad, then sync the day again.",
        "Solange die Angaben in Zammad nicht lesbar sind, wird nichts geschrieben. Berichtigen Sie sie in Zammad.",
        "Rien n'est écrit tant que les données de Zammad sont illisibles. Corrigez-les dans Zammad.",
    ),
    "next.malformed_timesheet": (
        "Nothing is written while Kimai's time sheet cannot be read. Correct or delete it in Kimai.",
        "Solange der Zeiteintrag in Kimai nicht lesbar ist, wird nichts geschrieben. Berichtigen Sie ihn in Kimai.",
        "Rien n'est écrit tant que la feuille est illisible dans Kimai. Corrigez-la ou supprimez-la.",
    ),
    "next.duplicate": (
        "A time sheet typed by hand says the same. Link it to the booking, or delete it in Kimai.",
        "Ein von Hand angelegter Zeiteintrag sagt dasselbe. Verknüpfen Sie ihn, oder löschen Sie ihn in Kimai.",
        "Une feuille saisie à la main dit la même chose. Liez-la à la saisie ou supprimez-la dans Kimai.",
    ),
    "next.ambiguous": (
        "Several time sheets or bookings fit equally well. Link the right pair, or change the surplus one.",
        "Mehrere Zeiteinträge oder Buchungen passen gleich gut. Verknüpfen Sie das richtige Paar.",
        "Plusieurs feuilles ou saisies conviennent. Liez la bonne paire ou modifiez celle en trop.",
    ),
    "next.fuzzy_candidate": (
        "A time sheet typed by hand is very similar. Link it, or have the booking created beside it.",
        "Ein von Hand angelegter Zeiteintrag ist sehr ähnlich. Verknüpfen Sie ihn, oder legen Sie die Buchung daneben.",
        "Une feuille saisie à la main est très semblable. Liez-la ou créez la saisie à côté.",
    ),
    "next.kimai_edited": (
        "Somebody changed the time sheet in Kimai. Keep Kimai's version, or write Zammad's again.",
        "Jemand hat den Zeiteintrag in Kimai geändert. Behalten Sie ihn, oder schreiben Sie den Stand aus Zammad.",
        "Quelqu'un a modifié la feuille dans Kimai. Gardez-la ou réécrivez la version de Zammad.",
    ),
    "next.both_changed": (
        "The booking and its time sheet were changed differently. Choose the version that is right.",
        "Buchung und Zeiteintrag wurden unterschiedlich geändert. Wählen Sie den richtigen Stand.",
        "La saisie et sa feuille ont changé différemment. Choisissez la bonne version.",
    ),
    "next.deleted_in_kimai": (
        "Somebody deleted the time sheet in Kimai. Have it created again, or leave the booking out.",
        "Jemand hat den Zeiteintrag in Kimai gelöscht. Lassen Sie ihn neu anlegen, oder lassen Sie die Buchung aus.",
        "Quelqu'un a supprimé la feuille dans Kimai. Recréez-la ou laissez la saisie de côté.",
    ),
    "next.unseen_in_kimai": (
        "Give the Kimai token's user access to all time sheets, then sync the day again.",
        "Geben Sie dem Benutzer des Kimai-Tokens Zugriff auf alle Zeiteinträge, und gleichen Sie noch einmal ab.",
        "Donnez au jeton Kimai l'accès à toutes les feuilles, puis resynchronisez le jour.",
    ),
    "next.deleted_in_zammad": (
        "The booking is gone or was corrected to zero. Delete the time sheet, or keep it.",
        "Die Buchung ist weg oder auf null korrigiert. Löschen Sie den Zeiteintrag, oder behalten Sie ihn.",
        "La saisie a disparu ou vaut zéro. Supprimez la feuille ou gardez-la.",
    ),
    "next.billed": (
        "The booking changed after its time sheet was exported or locked.",
        "Die Buchung wurde geändert, nachdem ihr Zeiteintrag abgerechnet oder gesperrt war.",
        "La saisie a changé après l'export ou le verrouillage de sa feuille.",
    ),
    "next.changed_after_billing": (
        "The time sheet was changed in Kimai after it was exported or closed. Keep it, or put it back in Kimai.",
        (
            "Der Zeiteintrag wurde in Kimai geändert, nachdem er abgerechnet oder gesperrt war. Behalten Sie ihn so, "
            "oder stellen Sie ihn in Kimai wieder her."
        ),
        "La feuille a changé dans Kimai après l'export ou la clôture. Gardez-la ainsi, ou rétablissez-la dans Kimai.",
    ),
    "next.locked_period": (
        "The booking belongs to a period that is closed.",
        "Die Buchung gehört in einen abgeschlossenen Zeitraum.",
        "La saisie appartient à une période clôturée.",
    ),
    "next.no_free_place": (
        "The agent's day has no free place of this length. Shorten or move the other time sheets of the day.",
        "Der Tag hat keinen freien Platz dieser Länge. Kürzen oder verschieben Sie die anderen Zeiteinträge.",
        "Le jour n'a pas de place libre de cette durée. Raccourcissez ou déplacez les autres feuilles.",
    ),
    "next.unmatched_correction": (
        "A negative booking found nothing to reduce. Say which booking it is about, or correct it in Zammad.",
        "Eine negative Buchung hat kein Gegenstück. Wählen Sie die gemeinte Buchung, oder korrigieren Sie in Zammad.",
        "Une saisie négative n'a rien à réduire. Choisissez la saisie concernée ou corrigez-la dans Zammad.",
    ),
    "next.merged_ticket": (
        "The ticket was merged into another, which is billed otherwise. Move the booking there, or keep it here.",
        "Das Ticket ging in einem anderen auf, das anders abgerechnet wird. Buchen Sie um, oder behalten Sie es so.",
        "Le ticket a été fusionné dans un autre, facturé autrement. Déplacez la saisie ou gardez-la ici.",
    ),
    "next.refused_by_kimai": (
        "Correct what Kimai refused (the text says why), then try again.",
        "Beheben Sie, was Kimai abgelehnt hat (der Text sagt, warum), und versuchen Sie es noch einmal.",
        "Corrigez ce que Kimai a refusé (le texte dit pourquoi), puis réessayez.",
    ),
    "next.marker_cloned": (
        "A time sheet with our marker was duplicated in Kimai. Delete the copy, or remove the marker from it.",
        "Ein Zeiteintrag mit unserem Kennzeichen wurde in Kimai verdoppelt. Löschen Sie die Kopie.",
        "Une feuille avec notre marqueur a été dupliquée dans Kimai. Supprimez la copie.",
    ),
    "next.billed_copy": (
        "A time sheet with our marker was duplicated in Kimai, and the copy is billed or closed. It stays: keep it.",
        "Ein Zeiteintrag von uns wurde in Kimai verdoppelt, und die Kopie ist abgerechnet. Behalten Sie sie.",
        "Une de nos feuilles a été dupliquée dans Kimai, et la copie est facturée ou clôturée. Gardez-la.",
    ),
    "choice.create": ("Create", "Anlegen", "Créer"),
    "choice.update": ("Update", "Aktualisieren", "Mettre à jour"),
    "choice.link": ("Link", "Verknüpfen", "Lier"),
    "choice.delete": ("Delete", "Löschen", "Supprimer"),
    "choice.keep": ("Keep", "Behalten", "Garder"),
    "choice.ignore": ("Leave out", "Auslassen", "Laisser de côté"),
    "choice.adjust": ("Adjust", "Ausgleichen", "Ajuster"),
    "choice.reduce": ("Reduce", "Kürzen", "Réduire"),
    "choice.move": ("Move", "Umbuchen", "Déplacer"),
    "effect.create": (
        "A new time sheet is written for the booking.",
        "Für die Buchung wird ein neuer Zeiteintrag geschrieben.",
        "Une nouvelle feuille est écrite pour la saisie.",
    ),
    "effect.update": (
        "What the booking says is written to the fields of the time sheet that differ.",
        "Was die Buchung sagt, wird in die abweichenden Felder des Zeiteintrags geschrieben.",
        "Ce que dit la saisie est écrit dans les champs de la feuille qui diffèrent.",
    ),
    "effect.link": (
        "The time sheet becomes the booking's: the marker is added to its text, all else stays.",
        "Der Zeiteintrag gehört dann zur Buchung: Sein Text bekommt das Kennzeichen, alles andere bleibt.",
        "La feuille devient celle de la saisie : le marqueur est ajouté à son texte, le reste demeure.",
    ),
    "effect.delete": (
        "The time sheet is deleted in Kimai.",
        "Der Zeiteintrag wird in Kimai gelöscht.",
        "La feuille est supprimée dans Kimai.",
    ),
    "effect.keep": (
        "The time sheet stays as it is. Nothing is written.",
        "Der Zeiteintrag bleibt, wie er ist. Nichts wird geschrieben.",
        "La feuille reste telle quelle. Rien n'est écrit.",
    ),
    "effect.ignore": (
        "It will not be billed. Both sides stay as they are, and it can be brought back.",
        "Das wird nicht abgerechnet. Beide Seiten bleiben, wie sie sind, und es lässt sich zurückholen.",
        "Ce ne sera pas facturé. Les deux côtés restent tels quels, et cela peut être repris.",
    ),
    "effect.adjust": (
        "The difference is booked as a new time sheet in the open period, or stands on the credit list.",
        "Die Differenz wird als neuer Zeiteintrag im offenen Zeitraum gebucht oder steht auf der Gutschriftenliste.",
        "La différence est saisie comme nouvelle feuille dans la période ouverte ou figure sur la liste des avoirs.",
    ),
    "effect.reduce": (
        "The correction takes back time of the chosen booking. Of a billed one you are asked whether to adjust it.",
        "Die Korrektur kürzt die gewählte Buchung. Ist sie abgerechnet, werden Sie nach einem Ausgleich gefragt.",
        "La correction réduit la saisie choisie. Si elle est facturée, un ajustement vous est proposé.",
    ),
    "effect.move": (
        "The booking counts on the ticket into which its own was merged. Of a billed one you are asked to adjust it.",
        "Die Buchung zählt zum aufnehmenden Ticket. Ist sie abgerechnet, werden Sie nach einem Ausgleich gefragt.",
        "La saisie compte sur le ticket restant. Si elle est facturée, un ajustement vous est proposé.",
    ),
    "value.in_sync": ("In sync", "Abgeglichen", "Synchronisé"),
    "value.missing": ("Missing in Kimai", "Fehlt in Kimai", "Absent de Kimai"),
    "value.mismatch": ("Differs", "Weicht ab", "Diffère"),
    "value.duplicate": ("Duplicate", "Doppelt", "Doublon"),
    "value.orphaned": ("Without booking", "Ohne Buchung", "Sans saisie"),
    "value.excluded": ("Left out", "Ausgenommen", "Exclu"),
    "value.none": ("Nothing", "Nichts", "Rien"),
    "value.create": ("Create", "Anlegen", "Créer"),
    "value.update": ("Update", "Aktualisieren", "Mettre à jour"),
    "value.delete": ("Delete", "Löschen", "Supprimer"),
    "value.link": ("Link", "Verknüpfen", "Lier"),
    "value.review": ("Review", "Prüfen", "À vérifier"),
    "value.adjust": ("Adjust", "Ausgleichen", "Ajuster"),
    "value.reduce": ("Reduce", "Kürzen", "Réduire"),
    "value.move": ("Move", "Umbuchen", "Déplacer"),
    "value.keep": ("Keep", "Behalten", "Garder"),
    "value.ignore": ("Leave out", "Auslassen", "Laisser de côté"),
    "value.open": ("Open", "Offen", "Ouvert"),
    "value.decided": ("Decided", "Entschieden", "Tranché"),
    "value.taken_back": (
        "Taken back; preview again",
        "Zurückgenommen; Vorschau neu ansehen",
        "Annulé ; refaites l'aperçu",
    ),
    "value.carried_out": ("Carried out", "Ausgeführt", "Exécuté"),
    "value.left_out": ("Left out", "Ausgelassen", "Laissé de côté"),
    "value.expired": ("No longer asked", "Erledigt", "Sans objet"),
}
