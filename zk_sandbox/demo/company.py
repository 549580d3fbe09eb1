"""The demo's IT service provider: its agents, customers, kinds of work, tickets and phrases."""

from dataclasses import dataclass

DOMAIN = "nordlicht-it.example"
ZONE = "Europe/Berlin"


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent of the service desk; Zammad keeps e-mail addresses in lower case.

    `kimai_email` is None for somebody without a Kimai account; `workload` is the share of days with bookings.
    """

    key: str
    firstname: str
    lastname: str
    kimai_email: str | None
    kimai_enabled: bool = True
    workload: float = 0.8

    @property
    def email(self) -> str:
        """The address in Zammad."""
        return f"{self.key}@{DOMAIN}"


AGENTS = (
    Agent("anna.berger", "Anna", "Berger", f"anna.berger@{DOMAIN}"),
    Agent("jens.krueger", "Jens", "Krüger", f"jens.krueger@{DOMAIN}"),
    Agent("mehmet.yildiz", "Mehmet", "Yıldız", f"mehmet.yildiz@{DOMAIN}"),  # noqa: RUF001 - his name
    Agent("sofia.lindqvist", "Sofia", "Lindqvist", "Sofia.Lindqvist@Nordlicht-IT.example"),
    Agent("clara.hofmann", "Clara", "Hofmann", f"clara.hofmann@{DOMAIN}"),
    # Found only through the user mapping: another address in Kimai.
    Agent("paul.okafor", "Paul", "Okafor", f"p.okafor@{DOMAIN}", workload=0.6),
    # Left the company; the Kimai account is disabled, but the last bookings must still be billed.
    Agent("lena.vogt", "Lena", "Vogt", f"lena.vogt@{DOMAIN}", kimai_enabled=False, workload=0.25),
    # A trainee without a Kimai account.
    Agent("tim.reuter", "Tim", "Reuter", None, workload=0.3),
)

ORGANIZATIONS = {
    "baeckerei": "Bäckerei Sonnenschein GmbH",
    "hartmann": "Hartmann Maschinenbau AG",
    "kanzlei": "Kanzlei Dr. Weiß & Partner",
    "stadtwerke": "Stadtwerke Auental",
    "meyer_nord": "Meyer KG",
    "meyer_sued": "Meyer KG",
    "labor": 'Labor <Nord> & "Süd" = Analytik GmbH',
    "verband": (
        "Arbeitsgemeinschaft der gemeinnützigen Wohnungsbau- und Siedlungsgenossenschaften im nördlichen Auental "
        "und den angrenzenden Gemeinden, Landesverband Mitte, eingetragener Verein"
    ),
    "pixelwerk": "Pixelwerk 🚀 Studio",
    "tierarzt": "Tierarztpraxis Dr. Öztürk",
    "muehle": "Alte Mühle Verwaltungs-GmbH",
}
KNOWN_IN_KIMAI = "baeckerei"
"""The organization whose customer and project exist in Kimai already, with our numbers."""
PROJECT_ENDED = "muehle"
"""The organization whose project in Kimai has ended before the month."""

TYPES = ("Remote-Support", "Vor-Ort-Einsatz", "Beratung", "Wartung", "Projektarbeit", "Anfahrt")
UNMAPPED_TYPE = "Anfahrt"
ACTIVITIES = {
    "Remote-Support": "Remote-Support",
    "Vor-Ort-Einsatz": "Vor-Ort",
    "Beratung": "Consulting",
    "Wartung": "Wartung",
    "Projektarbeit": "Projektarbeit",
    None: "Sonstiges",
}
"""Kimai's activity for each Zammad type that is mapped, and for entries without type (None)."""

TICKETS: tuple[tuple[str | None, str], ...] = (
    ("baeckerei", "Kassensystem druckt keine Bons"),
    ("baeckerei", "WLAN in der Backstube fällt aus"),
    ("baeckerei", "Neue Filiale: Netzwerk einrichten"),
    ("baeckerei", "E-Mail-Signatur für alle ändern"),
    ("hartmann", "CAD-Arbeitsplatz stürzt beim Öffnen großer Baugruppen ab"),
    ("hartmann", "Server-Umzug nach Halle 3"),
    ("hartmann", "VPN für den Außendienst"),
    ("hartmann", "Lizenzprüfung SolidWorks"),
    ("hartmann", "Backup schlägt seit Montag fehl"),
    ("kanzlei", "beA-Postfach: Zertifikat abgelaufen"),
    ("kanzlei", "Diktiersoftware erkennt das Mikrofon nicht"),
    ("kanzlei", "Verschlüsselung der Notebooks"),
    ("kanzlei", "Scanner im Sekretariat: Übergrößen"),
    ("stadtwerke", "<b>DRINGEND</b>: Leitstelle ohne Internet"),
    ("stadtwerke", "Firewall-Regeln für die Fernwartung prüfen"),
    ("stadtwerke", "Monatliche Wartung der Server"),
    ("stadtwerke", "Störungsannahme: Telefonanlage rauscht"),
    ("stadtwerke", "Schulung Phishing-Erkennung"),
    ("meyer_nord", "Drucker im Lager offline"),
    ("meyer_nord", "Neue Mitarbeiterin: Konto anlegen"),
    ("meyer_nord", "Outlook fragt ständig nach dem Kennwort"),
    ("meyer_sued", "Drucker im Lager offline"),
    ("meyer_sued", "Warenwirtschaft: Update auf 12.4"),
    ("labor", 'Messgerät "Spectra" meldet <Timeout> & bricht ab'),
    ("labor", "Datenübernahme LIMS, Teil 2"),
    ("labor", "USV-Batterien tauschen"),
    ("verband", "Mitgliederversammlung: Videokonferenz einrichten"),
    ("verband", "Umlaute in Serienbriefen falsch (ÄÖÜß)"),
    ("verband", "Tablets für den Vorstand"),
    ("pixelwerk", "Renderfarm 🔥 läuft heiß"),
    ("pixelwerk", "NAS voll 😱: Aufräumen und erweitern"),
    ("pixelwerk", "Farbprofil der Monitore kalibrieren"),
    ("tierarzt", "Praxissoftware startet nach dem Update nicht"),
    ("tierarzt", "Röntgenbilder werden nicht übertragen"),
    ("tierarzt", "Rezeptdrucker zieht Papier schief ein"),
    ("muehle", "Heizungssteuerung: Fernzugriff"),
    ("muehle", "Abrechnungsprogramm: Jahreswechsel"),
    (None, "Anruf ohne Kundennummer: Router defekt"),
    (None, "Interne Doku: Passwort-Manager"),
    (None, "Anfrage über das Kontaktformular"),
)

NOTES = (
    "Fernwartung, Treiber neu installiert, Testdruck in Ordnung.",
    "Mit dem Kunden telefoniert, Ursache eingegrenzt.",
    "Vor Ort: Switch getauscht und Verkabelung geprüft.",
    "Updates eingespielt, Neustart, Dienste geprüft.",
    "Rückfrage an den Hersteller, Antwort steht aus.",
    "<p>Konfiguration angepasst &amp; dokumentiert.</p>",
    "Benutzer angelegt, Rechte vergeben, Zugangsdaten übergeben.",
    "Wiederherstellung getestet: läuft 👍",
    "Angebot besprochen, Umsetzung für nächste Woche geplant.",
)
