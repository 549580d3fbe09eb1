"""`zk doctor`: check the whole installation, with a fix for each problem."""

import signal
import sys
from typing import Annotated

import typer
from rich.markup import escape

from zk_pipeline.cli.output import OPERATOR_ERRORS, AsJson, err, out, said, show_json, styled
from zk_pipeline.connectors.checks import Finding
from zk_pipeline.domain.vital_figures import Level
from zk_pipeline.observe.doctor.report import DoctorReport, DoctorSection, Installation, examine, finding_of
from zk_pipeline.runtime.environment import prepare
from zk_pipeline.runtime.settings import load_settings


def doctor(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Also show checks that pass.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check the whole installation, and show how to fix what is wrong.

    Exit code 0: nothing fails. 1: something fails.
    """
    report = _report()
    if as_json:
        show_json(report.to_json())
    else:
        _show(report, everything=everything)
    if not report.ok:
        raise typer.Exit(1)


def _report() -> DoctorReport:
    """The findings, or why the environment cannot be prepared."""
    # Dagster takes a second to import, and no other command needs it.
    from zk_pipeline.observe.doctor.examinations import EXAMINATIONS  # noqa: PLC0415

    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        with prepare(load_settings(), decided=False, stores=False) as ready, err.status("") as status:
            return examine(
                EXAMINATIONS,
                Installation.present(ready.runtime.as_given(), ready.home),
                lambda name: status.update(f"{said('Checking')} {said(name)}"),
            )
    except OPERATOR_ERRORS as error:
        return DoctorReport((DoctorSection("Environment", (finding_of("start", error),)),))


def _show(report: DoctorReport, *, everything: bool) -> None:
    width = max(len(said(section.name)) for section in report.sections)
    for section in report.sections:
        out.print(f"{styled(section.level)}  [bold]{said(section.name):<{width}}[/]  {said(_summary(section))}")
        for finding in section.findings:
            if everything or finding.level is not Level.PASS:
                _show_finding(finding)
    counts = report.counts
    out.print(f"\n{counts['pass']} pass, {counts['warn']} warn, {counts['fail']} fail.", highlight=False)


def _summary(section: DoctorSection) -> str:
    passed = sum(finding.level is Level.PASS for finding in section.findings)
    return f"{passed} of {len(section.findings)} pass"


def _show_finding(finding: Finding) -> None:
    line = f"        {styled(finding.level)} {escape(f'{said(finding.subject)}: {said(finding.text)}')}"
    out.print(line, soft_wrap=True, highlight=False)
    if finding.remedy:
        out.print(f"             [bold]→[/] {escape(said(finding.remedy))}", soft_wrap=True, highlight=False)
