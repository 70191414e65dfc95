"""Terminal output of findings."""

from __future__ import annotations

from twin.doctor.finding import Finding, Status
from twin.terminal.console import console, print_table

MARKS = {Status.OK: "ok", Status.FAILED: "WRONG", Status.WARNING: "warning", Status.SKIPPED: "-"}


def show_findings(stage: str, findings: list[Finding]) -> None:
    """The preflight: one line per finding, then each problem with its reason and its fix."""
    rows = [(MARKS[f.status], f.check, f.seen) for f in findings]
    print_table(f"Doctor, stage {stage}", ("", "check", "seen"), rows)
    for finding in findings:
        if finding.why:
            console.print(f"{MARKS[finding.status]} {finding.check}: {finding.seen}", markup=False, style="bold")
            console.print(f"   why: {finding.why}\n   fix: {finding.fix}", markup=False)
    counts = [f"{sum(f.status is status for f in findings)} {status}" for status in Status]
    console.print(", ".join(counts), markup=False)
