"""What a connector's test found, line by line: how it is meant, what was looked at, what was seen, what to do."""

from collections.abc import Mapping

from nicegui import ui

from zk_pipeline.connectors.checks import Finding, Validation
from zk_pipeline.domain.vital_figures import Level
from zk_pipeline.web.console import parts
from zk_pipeline.web.console.parts import Tone
from zk_pipeline.web.console.words import Words

_LOOKS: Mapping[Level, tuple[Tone, str]] = {
    Level.PASS: ("good", "check_circle"),
    Level.WARN: ("warn", "warning"),
    Level.FAIL: ("bad", "error"),
}


def show(words: Words, found: Validation) -> None:
    """The verdict, what the system says about itself, and each line."""
    parts.text("p", words(f"connectors.test.{'ok' if found.ok else 'failed'}"), "zk-lead")
    told = " · ".join(filter(None, (found.version, found.account, found.timezone)))
    if told:
        parts.text("p", told, "zk-muted")
    with parts.box("zk-findings", "ul"):
        for finding in found.findings:
            _line(words, finding)


def _line(words: Words, finding: Finding) -> None:
    tone, shape = _LOOKS[finding.level]
    with parts.box("zk-finding", "li"):
        with parts.box(f"zk-chip zk-{tone} zk-with-icon", "span"):
            ui.icon(shape)
            parts.text("span", words(f"connectors.level.{finding.level}"))
        with parts.box("zk-finding-text"):
            parts.text("span", finding.subject, "zk-lead")
            parts.text("span", finding.text)
            if finding.remedy:
                parts.text("p", finding.remedy, "zk-muted")
