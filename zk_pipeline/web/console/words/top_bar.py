"""Texts of the top bar: sync now, and the schedule."""

WORDS = {
    "sync.now": ("Run sync now", "Jetzt abgleichen", "Synchroniser"),
    "schedule": ("Schedule", "Zeitplan", "Planification"),
}
