"""Texts of the section Dashboard."""

WORDS = {
    "dashboard.title": ("Dashboard", "Übersicht", "Tableau de bord"),
    "dashboard.about": (
        "How things stand right now.",
        "Wie es gerade steht.",
        "La situation en ce moment.",
    ),
}
