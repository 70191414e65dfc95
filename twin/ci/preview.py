"""The one comment of a pull request: changes of the stacks, cost, scores, benchmarks and the proof of the deletion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twin.ci.stack_diff import StackChange
from twin.evaluate.comparison import Comparison

MARKER = "<!-- llm-twin-preview -->"
SECTION = "### "
DELETION = f"{SECTION}Deletion\n\n"
CHANGES_SHOWN = 40
"""Resources per stack; all of them are in the run's log."""


@dataclass(frozen=True)
class Preview:
    """Content of the comment; None means that a step did not run or failed.

    Attributes:
        commit: the commit that is previewed.
        run_url: page of the run.
        url: URL of the preview's API.
        stacks: `cdk diff` per stack.
        cost: the price difference as Markdown (`twin cost --diff --markdown`).
        scores: against main.
        benchmarks: goals of the benchmark reports (`goals` of benchmarks/results/*.json).
        proof: survivors and services as `twin delete --json` prints them; empty when the deletion failed.
    """

    commit: str
    run_url: str
    url: str | None = None
    stacks: Sequence[StackChange] | None = None
    cost: str | None = None
    scores: Sequence[Comparison] | None = None
    benchmarks: Sequence[Mapping[str, Any]] | None = None
    proof: Mapping[str, Any] | None = None

    @property
    def is_proof_alone(self) -> bool:
        """Whether the job deleted the preview and measured nothing."""
        measured = (self.stacks, self.cost, self.scores, self.benchmarks)
        return self.proof is not None and all(each is None for each in measured)


def render(preview: Preview, before: str = "") -> str:
    """The comment in Markdown, without the hidden marker.

    `before`: the present comment; a proof alone keeps its measurements.
    """
    measured = _measured(before) if preview.is_proof_alone else _sections(preview)
    parts = [
        f"## Preview of `{preview.commit[:12]}`",
        _where(preview),
        *measured,
        f"{DELETION}{_proof(preview.proof) if preview.proof is not None else '_The preview is deployed._'}",
        f"[Run]({preview.run_url})",
    ]
    return "\n\n".join(parts)


def _sections(preview: Preview) -> list[str]:
    return [
        _section("Stacks", preview.stacks, _stacks),
        _section("Price difference per month", preview.cost, str.strip),
        _section("Evaluation against main", preview.scores, _scores),
        _section("Benchmarks", preview.benchmarks, _benchmarks),
    ]


def _measured(comment: str) -> list[str]:
    """Sections of a comment between its head and the deletion; none when the comment was cut off before that."""
    kept, complete, _ = comment.partition(f"\n\n{DELETION}")
    _, found, sections = kept.partition(f"\n\n{SECTION}")
    return [f"{SECTION}{sections}"] if complete and found else []


def _section(title: str, value: Any, show: Any) -> str:
    return f"{SECTION}{title}\n\n{'_Not measured: see the run._' if value is None else show(value)}"


def _where(preview: Preview) -> str:
    if preview.proof is not None:
        gone = preview.proof.get("survivors") == []
        return "The preview is deleted." if gone else "**The preview is not deleted completely.**"
    return f"Preview: {preview.url}" if preview.url else "**The preview is not up.**"


def _stacks(stacks: Sequence[StackChange]) -> str:
    changed = [stack for stack in stacks if stack.resources]
    if not changed:
        return "No resource changes."
    lines = []
    for stack in changed:
        replaced = sum(change.replaces for change in stack.resources)
        note = f", **{replaced} replaced**" if replaced else ""
        lines += [f"`{stack.stack}`: {len(stack.resources)} changes{note}", ""]
        # Replacements first: they lose state and must not be cut off.
        ordered = sorted(stack.resources, key=lambda change: not change.replaces)
        for change in ordered[:CHANGES_SHOWN]:
            text = f"{change.what}: {change.kind} `{_code(change.name)}`"
            lines.append(f"- **{text}**" if change.replaces else f"- {text}")
        if len(ordered) > CHANGES_SHOWN:
            lines.append(f"- and {len(ordered) - CHANGES_SHOWN} more")
        lines.append("")
    return "\n".join(lines).rstrip()


def _scores(found: Sequence[Comparison]) -> str:
    if not found:
        return "No sample was answered by both."
    rows = [
        f"| {_cell(each.metric)} | {each.samples} | {each.base:.3f} | {each.head:.3f} | {each.head - each.base:+.3f} "
        f"| {each.low:+.3f} to {each.high:+.3f} | {'**regressed**' if each.regressed else 'ok'} |"
        for each in found
    ]
    head = "| metric | samples | main | this | difference | 95 % interval | |"
    rule = "| --- | ---: | ---: | ---: | ---: | --- | --- |"
    worse = [
        f"- {_cell(each.metric)}: {_cell(sample)} ({before:.2f} -> {after:.2f})"
        for each in found
        if each.regressed
        for sample, before, after in each.worse
    ]
    return "\n".join([head, rule, *rows, *(["", "Regressed samples:", "", *worse] if worse else [])])


def _benchmarks(goals: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        f"| {_cell(str(goal['name']))} | {float(goal['reached']):.2f} {_cell(str(goal['unit']))} "
        f"| {goal['direction']} {float(goal['wanted']):g} | {'reached' if goal['met'] else '**missed**'} |"
        for goal in goals
    ]
    return "\n".join(["| figure | here | goal | |", "| --- | ---: | --- | --- |", *rows])


def _proof(proof: Mapping[str, Any]) -> str:
    if not proof:
        return "**The deletion failed: see the run.**"
    survivors = proof["survivors"]
    looked = f"looked at {len(proof.get('services') or ())} services"
    if not survivors:
        return f"0 survivors: {looked}."
    names = "\n".join(f"- {each['service']}: {each['kind']} `{_code(str(each['name']))}`" for each in survivors)
    return f"**{len(survivors)} survivors** ({looked}):\n\n{names}"


def _cell(text: str) -> str:
    """Text escaped for a table cell: it cannot end the cell, mention a person or become a tag."""
    plain = " ".join(text.split())
    for special, safe in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "\\|"), ("@", "@\u200b")):
        plain = plain.replace(special, safe)
    return plain


def _code(text: str) -> str:
    return text.replace("`", "'").replace("|", "/")
