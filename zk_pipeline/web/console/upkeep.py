"""The parts Alerts, Privacy and Health of the settings."""

from collections.abc import Sequence

from nicegui import ui

from zk_pipeline.connectors.checks import Finding
from zk_pipeline.domain.vital_figures import Level
from zk_pipeline.identity.actors import Role
from zk_pipeline.languages.places import place
from zk_pipeline.observe.about import About, about
from zk_pipeline.observe.alert_delivery import AddressTest, alert_addresses, open_incidents, try_addresses, waiting
from zk_pipeline.observe.alerts import Incident
from zk_pipeline.observe.doctor.examinations import examined
from zk_pipeline.observe.doctor.report import DoctorReport
from zk_pipeline.privacy import erasure
from zk_pipeline.privacy.erasure import ErasureLine, ErasurePlan
from zk_pipeline.web.console import feedback, widgets
from zk_pipeline.web.console.connectors import finding_line
from zk_pipeline.web.console.section import Section
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.widgets import Column, Panel

# Where alerts go, and a test.

_Alerts = tuple[list[str], dict[str, Incident], int]


class Alerts:
    """The addresses without their secrets, what is not well, and a button that tries the addresses."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        with widgets.card(visit.words("alerts.where")):
            self._panel: Panel[_Alerts] = Panel(visit, self._load, self._show)
        self._result = widgets.box("zk-stack").props("aria-live=polite")

    async def refresh(self) -> None:
        """Load everything again."""
        await self._panel.refresh()

    def _load(self) -> _Alerts:
        runtime = self._visit.runtime
        kinds = [address.scheme for address in alert_addresses(runtime.settings)]
        return kinds, open_incidents(runtime), len(waiting(runtime))

    def _show(self, loaded: _Alerts) -> None:
        kinds, incidents, queued = loaded
        visit, words = self._visit, self._visit.words
        if not kinds:
            widgets.empty(words("alerts.none"), words("alerts.none.hint"))
            return
        rows = [[words.number(number), kind] for number, kind in enumerate(kinds, 1)]
        columns = [Column(words("alerts.position")), Column(words("alerts.kind"))]
        widgets.table(words("alerts.where"), columns, rows)
        widgets.text("p", words("alerts.hint"), "zk-muted")
        if queued:
            widgets.text("p", words.count("alerts.waiting", queued), "zk-note zk-warn")
        for subject, incident in incidents.items():
            since = words.instant(incident.since)
            widgets.text("p", words("alerts.incident", subject=subject, since=since), "zk-note zk-warn")
        with widgets.actions():
            button = widgets.button(words("alerts.test"), icon="send")
            button.on_click(visit.act(Role.ADMIN, self._try))
        self._button = button

    async def _try(self) -> None:
        with feedback.working(self._button):
            tests = await self._visit.ask(try_addresses, self._visit.runtime.settings)
        self._result.clear()
        with self._result:
            self._told(tests)

    def _told(self, tests: Sequence[AddressTest]) -> None:
        words = self._visit.words
        with widgets.card(words("alerts.result")), widgets.box("zk-findings", "ul"):
            for test in tests:
                with widgets.box("zk-finding", "li"):
                    text, tone = ("alerts.failed", "bad") if test.problem else ("alerts.sent", "good")
                    widgets.chip(words(text), tone)
                    place = words("alerts.address", position=test.position, kind=test.kind)
                    widgets.text(
                        "span", f"{place}: {words.said(test.problem)}" if test.problem else place, "zk-finding-text"
                    )


# What is stored about a person, and erasure by a plan that is shown first.


class Privacy:
    """The form: whose data, exported as a file or erased after the plan."""

    def __init__(self, visit: Visit) -> None:
        self._visit, words = visit, visit.words
        with widgets.card(words("privacy.person")), widgets.box("zk-form-column zk-narrow"):
            widgets.text("p", words("privacy.person.about"), "zk-muted")
            self._email = widgets.field(words("users.email")).props("type=email maxlength=320 autocomplete=off")
            form = feedback.Form(visit, Role.ADMIN, {"email": self._email})
            form.button(words("privacy.export"), self._export, kind="plain", icon="download")
            form.button(words("privacy.plan"), self._look, kind="plain", icon="person_remove")
        self._result = widgets.box("zk-stack").props("aria-live=polite")

    async def _export(self) -> None:
        visit, email = self._visit, self._email.value or ""
        content = await visit.ask(_exported, visit, email)
        ui.download(content, "person.zip", "application/zip")
        visit.notify(visit.words("privacy.exported"))

    async def _look(self) -> None:
        email = self._email.value or ""
        plan = await self._visit.ask(erasure.plan_erasure, self._visit.runtime, email)
        self._result.clear()
        with self._result:
            self._show(email, plan)

    def _show(self, email: str, plan: ErasurePlan) -> None:
        """What will happen to what is stored in each place, and the button that does it."""
        visit, words = self._visit, self._visit.words
        with widgets.card(words("privacy.plan.title", email=email)), widgets.box("zk-stack"):
            columns = [
                Column(words("privacy.table")),
                Column(words("privacy.fate")),
                Column(words("privacy.rows"), number=True),
                Column(words("privacy.why")),
            ]
            rows = [
                [
                    place(line.table, words.language),
                    words(f"privacy.fate.{line.fate}"),
                    words.number(line.rows),
                    self._why(line),
                ]
                for line in plan.lines
            ]
            widgets.table(words("privacy.plan"), columns, rows)
            for warning in plan.warnings:
                widgets.text("p", words.said(warning), "zk-note zk-warn")

            async def erase() -> None:
                done = await visit.ask(erasure.erase, visit.runtime, email, plan.hash, visit.actor)
                self._result.clear()
                self._email.value = ""
                with self._result:
                    widgets.text("p", words("privacy.erased", pseudonym=done.pseudonym), "zk-note")

            def ask() -> None:
                title, effect = f"{words('privacy.erase')}: {email}", words("privacy.erase.about")
                feedback.confirm(visit, Role.ADMIN, title, effect, words("privacy.erase"), erase, "danger")

            with widgets.actions():
                widgets.button(words("privacy.erase"), visit.act(Role.ADMIN, ask), kind="danger")

    def _why(self, line: ErasureLine) -> str:
        words = self._visit.words
        return words.known(f"privacy.why.{line.table}.{line.fate}", words(f"privacy.why.{line.fate}"))


def _exported(visit: Visit, email: str) -> bytes:
    with erasure.export(visit.runtime, email, visit.actor) as archive:
        return archive.read()


# Whether all is well, in the doctor's sentences, and what is installed.


class Health:
    """The examination, which takes some seconds and is made on request; version and licences."""

    def __init__(self, visit: Visit) -> None:
        self._visit, words = visit, visit.words
        if visit.may(Role.ADMIN):
            with widgets.card(words("health.doctor")):
                widgets.text("p", words("health.doctor.about"), "zk-muted")
                with widgets.actions():
                    self._button = widgets.button(words("health.examine"), icon="health_and_safety")
                    self._button.on_click(visit.act(Role.ADMIN, self._examine))
                self._result = widgets.box("zk-stack").props("aria-live=polite")
        with widgets.card(words("health.installed")):
            self._panel: Panel[About] = Panel(visit, about, self._show)

    async def refresh(self) -> None:
        """Load what is installed."""
        await self._panel.refresh()

    async def _examine(self) -> None:
        self._result.clear()
        with self._result:
            widgets.skeleton(self._visit.words("health.examining"))
        with feedback.working(self._button):
            report = await self._visit.ask(examined, self._visit.runtime)
        self._result.clear()
        with self._result:
            self._report(report)

    def _report(self, report: DoctorReport) -> None:
        """What is not well first, then what is, folded."""
        words, counts = self._visit.words, report.counts
        numbers = {level: words.number(counts[level]) for level in Level}
        verdict = "ok" if report.ok else "failed"
        summary = words(
            "health.counts", passed=numbers[Level.PASS], warned=numbers[Level.WARN], failed=numbers[Level.FAIL]
        )
        widgets.text("p", f"{words(f'health.{verdict}')} {summary}", "zk-lead")
        every = [(section.name, finding) for section in report.sections for finding in section.findings]
        self._findings([row for row in every if row[1].level is not Level.PASS])
        with widgets.box("zk-details", "details"):
            widgets.text("summary", words("health.passed"))
            self._findings([row for row in every if row[1].level is Level.PASS])

    def _findings(self, rows: Sequence[tuple[str, Finding]]) -> None:
        with widgets.box("zk-findings", "ul"):
            for name, finding in rows:
                finding_line(self._visit.words, finding, name)

    def _show(self, found: About) -> None:
        words = self._visit.words
        widgets.facts(
            [
                (words("health.version"), f"zk_pipeline {found.version}"),
                (words("health.licence"), found.licence),
                ("Python", found.python),
            ]
        )
        with widgets.box("zk-details", "details"):
            widgets.text("summary", words.count("health.components", len(found.components)))
            columns = [Column(words(f"health.{key}")) for key in ("component", "version", "licence")]
            rows = [[row.name, row.version, row.licence or words("none")] for row in found.components]
            widgets.table(words("health.installed"), columns, rows)


async def _alerts(visit: Visit) -> None:
    await Alerts(visit).refresh()


async def _privacy(visit: Visit) -> None:
    Privacy(visit)


async def _health(visit: Visit) -> None:
    await Health(visit).refresh()


ALERTS = Section("alerts", "notifications", _alerts, needs=Role.ADMIN)
PRIVACY = Section("privacy", "privacy_tip", _privacy, needs=Role.ADMIN)
HEALTH = Section("health", "health_and_safety", _health)
