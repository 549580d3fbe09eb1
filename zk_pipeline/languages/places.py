"""Where something is stored, in words instead of the names of tables; the console and the terminal share it."""

from collections.abc import Mapping

from zk_pipeline.languages import Language

_OF_DAGSTER = "dagster."

WORDS: Mapping[str, tuple[str, str, str]] = {
    "privacy.place.files": ("Logs and other files", "Protokolle und andere Dateien", "Journaux et autres fichiers"),
    # What was read from Zammad and Kimai.
    "privacy.place.zammad.activity_types": (
        "Activity types in Zammad",
        "Tätigkeitsarten in Zammad",
        "Types d'activité dans Zammad",
    ),
    "privacy.place.zammad.agents": ("Agents in Zammad", "Agenten in Zammad", "Agents dans Zammad"),
    "privacy.place.zammad.organizations": (
        "Organizations in Zammad",
        "Organisationen in Zammad",
        "Organisations dans Zammad",
    ),
    "privacy.place.zammad.tickets": ("Tickets in Zammad", "Tickets in Zammad", "Tickets dans Zammad"),
    "privacy.place.zammad.time_accountings": ("Bookings in Zammad", "Buchungen in Zammad", "Saisies dans Zammad"),
    "privacy.place.sync.mirrored_bookings": (
        "Which bookings a source announced",
        "Welche Buchungen eine Quelle gemeldet hat",
        "Saisies annoncées par une source",
    ),
    "privacy.place.sync.write_backs": (
        "What was written into tickets",
        "Was in Tickets geschrieben wurde",
        "Ce qui a été écrit dans les tickets",
    ),
    "privacy.place.kimai.accepted_differences": (
        "Accepted differences from invoices",
        "Akzeptierte Differenzen zu Rechnungen",
        "Écarts acceptés avec les factures",
    ),
    "privacy.place.kimai.activities": ("Activities in Kimai", "Tätigkeiten in Kimai", "Activités dans Kimai"),
    "privacy.place.kimai.customers": ("Customers in Kimai", "Kunden in Kimai", "Clients dans Kimai"),
    "privacy.place.kimai.invoice_checks": (
        "Comparison with invoices",
        "Vergleich mit Rechnungen",
        "Comparaison avec les factures",
    ),
    "privacy.place.kimai.invoice_readings": (
        "When invoices were read",
        "Wann Rechnungen gelesen wurden",
        "Lectures des factures",
    ),
    "privacy.place.kimai.invoices": ("Invoices in Kimai", "Rechnungen in Kimai", "Factures dans Kimai"),
    "privacy.place.kimai.projects": ("Projects in Kimai", "Projekte in Kimai", "Projets dans Kimai"),
    "privacy.place.kimai.servers": ("Settings of Kimai", "Einstellungen von Kimai", "Réglages de Kimai"),
    "privacy.place.kimai.timesheets": ("Time sheets in Kimai", "Zeiteinträge in Kimai", "Feuilles de temps dans Kimai"),
    "privacy.place.kimai.users": ("Users in Kimai", "Benutzer in Kimai", "Utilisateurs dans Kimai"),
    # Users of the console.
    "privacy.place.sync.users": ("Users of this console", "Benutzer dieser Konsole", "Utilisateurs de cette console"),
    "privacy.place.sync.sessions": ("Sessions", "Sitzungen", "Sessions"),
    "privacy.place.sync.api_tokens": ("API tokens", "API-Tokens", "Jetons d'API"),
    "privacy.place.sync.failed_logins": (
        "Failed sign-ins",
        "Gescheiterte Anmeldungen",
        "Échecs de connexion",
    ),
    "privacy.place.sync.second_factors": ("Second factors", "Zweite Faktoren", "Seconds facteurs"),
    "privacy.place.sync.recovery_codes": ("Recovery codes", "Wiederherstellungscodes", "Codes de récupération"),
    # The chain.
    "privacy.place.sync.normalized_entries": (
        "Bookings, made ready for Kimai",
        "Buchungen, für Kimai aufbereitet",
        "Saisies préparées pour Kimai",
    ),
    "privacy.place.sync.reconciliation_results": ("Lines of plans", "Zeilen von Plänen", "Lignes de plans"),
    "privacy.place.sync.pushes": ("What is in Kimai", "Was in Kimai steht", "Ce qui est dans Kimai"),
    "privacy.place.sync.writes": ("Changes made in Kimai", "Änderungen in Kimai", "Modifications faites dans Kimai"),
    "privacy.place.sync.request_log": (
        "Requests to Kimai and its answers",
        "Anfragen an Kimai und seine Antworten",
        "Requêtes à Kimai et ses réponses",
    ),
    "privacy.place.sync.conflicts": (
        "Questions and decisions",
        "Fragen und Entscheidungen",
        "Questions et décisions",
    ),
    "privacy.place.sync.corrections": (
        "Decisions about corrections",
        "Entscheidungen über Korrekturen",
        "Décisions sur les corrections",
    ),
    "privacy.place.sync.moved_bookings": (
        "Bookings moved to another ticket",
        "In ein anderes Ticket verschobene Buchungen",
        "Saisies déplacées vers un autre ticket",
    ),
    "privacy.place.sync.approvals": ("Approvals", "Freigaben", "Approbations"),
    "privacy.place.sync.approved_lines": ("Approved lines", "Freigegebene Zeilen", "Lignes approuvées"),
    "privacy.place.sync.adjustments": (
        "Adjustments and credits",
        "Nachträge und Gutschriften",
        "Régularisations et avoirs",
    ),
    "privacy.place.sync.locked_timesheets": (
        "Time sheets as they were billed",
        "Zeiteinträge, wie abgerechnet",
        "Feuilles de temps telles que facturées",
    ),
    "privacy.place.sync.sync_runs": ("Runs", "Läufe", "Exécutions"),
    "privacy.place.sync.run_requests": ("Requests for runs", "Angeforderte Läufe", "Demandes d'exécution"),
    "privacy.place.sync.launched_runs": ("Keys of runs", "Schlüssel von Läufen", "Clés d'exécutions"),
    "privacy.place.sync.cancelled_runs": ("Cancelled runs", "Abgebrochene Läufe", "Exécutions interrompues"),
    "privacy.place.sync.day_requests": (
        "Requests to sync days",
        "Angeforderte Abgleiche",
        "Demandes de synchronisation",
    ),
    "privacy.place.sync.sweeps": ("When days were read", "Wann Tage gelesen wurden", "Lectures des jours"),
    "privacy.place.sync.cursors": (
        "Notes of what was seen last, and alerts",
        "Merker des zuletzt Gesehenen, und Alarme",
        "Repères de ce qui a été vu, et alertes",
    ),
    # Mappings and settings.
    "privacy.place.sync.user_mappings": ("Mappings of agents", "Zuordnungen von Agenten", "Correspondances d'agents"),
    "privacy.place.sync.carried_agents": (
        "Agents whose time is in Kimai",
        "Agenten, deren Zeit in Kimai ist",
        "Agents dont le temps est dans Kimai",
    ),
    "privacy.place.sync.activity_mappings": (
        "Mappings of activity types",
        "Zuordnungen von Tätigkeitsarten",
        "Correspondances de types d'activité",
    ),
    "privacy.place.sync.customer_mappings": (
        "Mappings of customers",
        "Zuordnungen von Kunden",
        "Correspondances de clients",
    ),
    "privacy.place.sync.connectors": ("Connectors", "Verbindungen", "Connecteurs"),
    "privacy.place.sync.reachability": (
        "Whether systems answer",
        "Erreichbarkeit der Systeme",
        "Disponibilité des systèmes",
    ),
    "privacy.place.sync.settings": ("Settings", "Einstellungen", "Réglages"),
    "privacy.place.sync.decided_settings": (
        "Settings that decided what is stored",
        "Einstellungen, nach denen gespeichert wurde",
        "Réglages qui ont décidé des données",
    ),
    "privacy.place.sync.webhook_deliveries": (
        "Webhooks from Zammad",
        "Webhooks von Zammad",
        "Webhooks de Zammad",
    ),
    "privacy.place.sync.webhook_rejections": (
        "Refused webhooks",
        "Abgelehnte Webhooks",
        "Webhooks refusés",
    ),
    "privacy.place.sync.acts": (
        "Answers kept for repeated requests",
        "Antworten für wiederholte Anfragen",
        "Réponses gardées pour les requêtes répétées",
    ),
    # Months.
    "privacy.place.sync.periods": ("Closings of months", "Monatsabschlüsse", "Clôtures de mois"),
    "privacy.place.sync.closed_statements": (
        "Statements of closed months",
        "Nachweise abgeschlossener Monate",
        "Relevés des mois clos",
    ),
    "privacy.place.sync.customer_reviews": (
        "Reviews of customers",
        "Prüfungen von Kunden",
        "Contrôles des clients",
    ),
    # The audit trail.
    "privacy.place.sync.audit_logs": ("Rows of the audit trail", "Zeilen des Protokolls", "Lignes du journal"),
    "privacy.place.sync.audit_details": (
        "Details of the audit trail",
        "Einzelheiten des Protokolls",
        "Détails du journal",
    ),
    "privacy.place.sync.audit_head": ("End of the audit trail", "Ende des Protokolls", "Fin du journal"),
    "privacy.place.sync.erasures": ("Erasures", "Löschungen", "Effacements"),
    "privacy.place.sync.alembic_version": (
        "Version of the database",
        "Version der Datenbank",
        "Version de la base de données",
    ),
    # What reports are made from.
    "privacy.place.marts.agg_daily_by_agent": (
        "Reports: time by person and day",
        "Auswertungen: Zeit je Person und Tag",
        "Rapports : temps par personne et jour",
    ),
    "privacy.place.marts.agg_monthly_by_customer": (
        "Reports: time by customer and month",
        "Auswertungen: Zeit je Kunde und Monat",
        "Rapports : temps par client et mois",
    ),
    "privacy.place.marts.dim_activity": (
        "Reports: activities",
        "Auswertungen: Tätigkeiten",
        "Rapports : activités",
    ),
    "privacy.place.marts.dim_agent": ("Reports: people", "Auswertungen: Personen", "Rapports : personnes"),
    "privacy.place.marts.dim_customer": ("Reports: customers", "Auswertungen: Kunden", "Rapports : clients"),
    "privacy.place.marts.fct_time_entries": (
        "Reports: bookings",
        "Auswertungen: Buchungen",
        "Rapports : saisies",
    ),
    "privacy.place.marts.int_entries_named": (
        "Reports: bookings with names",
        "Auswertungen: Buchungen mit Namen",
        "Rapports : saisies avec noms",
    ),
    "privacy.place.marts.statement_lines": (
        "Lines of statements",
        "Zeilen von Nachweisen",
        "Lignes de relevés",
    ),
    "privacy.place.marts.sync_health": (
        "Reports: state of the sync",
        "Auswertungen: Stand des Abgleichs",
        "Rapports : état de la synchronisation",
    ),
    # Dagster's own database.
    "privacy.place.dagster.event_logs": (
        "Dagster: events of runs",
        "Dagster: Ereignisse von Läufen",
        "Dagster : événements des exécutions",
    ),
    "privacy.place.dagster.runs": ("Dagster: runs", "Dagster: Läufe", "Dagster : exécutions"),
    "privacy.place.dagster.run_tags": (
        "Dagster: tags of runs",
        "Dagster: Markierungen von Läufen",
        "Dagster : étiquettes des exécutions",
    ),
    "privacy.place.dagster.job_ticks": (
        "Dagster: schedules and sensors at work",
        "Dagster: Zeitpläne und Sensoren bei der Arbeit",
        "Dagster : planifications et capteurs à l'œuvre",
    ),
    "privacy.place.dagster.asset_keys": (
        "Dagster: newest state of each table",
        "Dagster: neuester Stand jeder Tabelle",
        "Dagster : dernier état de chaque table",
    ),
    "privacy.place.dagster.asset_check_executions": (
        "Dagster: results of checks",
        "Dagster: Ergebnisse von Prüfungen",
        "Dagster : résultats des contrôles",
    ),
    "privacy.place.dagster.kvs": (
        "Dagster: positions of its sensors",
        "Dagster: Stände seiner Sensoren",
        "Dagster : positions de ses capteurs",
    ),
    "privacy.place.dagster": (
        "Dagster: other records",
        "Dagster: weitere Aufzeichnungen",
        "Dagster : autres enregistrements",
    ),
}


def place(table: str, language: Language) -> str:
    """Where the rows of a table are, such as `sync.users`, or of Dagster's, such as `dagster.runs`."""
    key = f"privacy.place.{table}"
    if key not in WORDS and table.startswith(_OF_DAGSTER):
        key = "privacy.place.dagster"
    return WORDS[key][tuple(Language).index(language)] if key in WORDS else table
