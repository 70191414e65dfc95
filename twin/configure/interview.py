"""The questions of `twin init`, and what becomes of the answers."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import boto3
import httpx
import typer
from botocore.exceptions import BotoCoreError

from infra.settings.deployment import SettingsError, load_settings
from twin.configure.stage_file import Answers, stage_file, write
from twin.model.hub import Hub, HubError
from twin.target.errors import TwinError
from twin.target.stage import named_region
from twin.target.stage_secrets import keep

NEW_BUDGET_USD = 400

Ask = Callable[[str, str, bool], str]
"""Asks a question: its words, the answer that is taken for none, and whether the answer is hidden."""


@dataclass(frozen=True)
class Done:
    """What was written, and sentences for the person who asked for it."""

    path: Path
    notes: list[str] = field(default_factory=list)


def ask_person(question: str, default: str, hidden: bool) -> str:
    """The answer of the person at the terminal."""
    return str(typer.prompt(question, default=default, hide_input=hidden, show_default=bool(default) and not hidden))


def take_defaults(question: str, default: str, hidden: bool) -> str:
    """The answer that is taken for none."""
    return default


def run(stage: str, given: Answers, ask: Ask) -> Done:
    """Ask what is not given, write the stage's settings, and keep its keys for the deployment.

    Args:
        stage: to be set up.
        given: the command's options; None asks, or leaves what the file says.
        ask: who answers.

    Raises:
        TwinError: an answer is not accepted; then nothing was written.
    """
    stage_file(stage)
    notes: list[str] = []
    emails = given.emails
    if emails is None and (answer := ask("E-mail address that gets every alarm (empty: none)", "", False).strip()):
        emails = tuple(each.strip() for each in answer.split(",") if each.strip())
    budget = given.budget_usd
    if budget is None:
        budget = _dollars(ask("US dollars a month, after which the GPU is taken away", _budget(stage), False))
    key = ask(f"API key of Opik at {given.opik or 'comet.com'} (empty: later)", "", True).strip()
    answers = replace(
        given,
        region=given.region or _region(),
        revision=given.revision or (_newest(given.model) if given.model else None),
        emails=emails,
        budget_usd=budget,
    )
    path = write(stage, answers)
    if key:
        keep(stage, "opik", key)
        notes.append("The API key of Opik waits on this machine for the deployment.")
    else:
        notes.append(f"Opik's key can come later: twin secrets set opik --stage {stage}")
    if load_settings(stage).vectors.url is not None:
        notes.append(
            f"Qdrant's keys: twin secrets set qdrant --stage {stage}, twin secrets set qdrant-write --stage {stage}"
        )
    return Done(path, notes)


def _budget(stage: str) -> str:
    """The budget that the stage's file has, or that of a new stage."""
    try:
        found = load_settings(stage).guard.monthly_budget_usd
    except SettingsError:
        found = None
    return f"{found or NEW_BUDGET_USD:g}"


def _newest(model: str) -> str:
    try:
        return Hub(os.environ.get("HF_TOKEN")).newest_commit(model)
    except (HubError, httpx.HTTPError) as error:
        raise TwinError(
            f"The hub does not give the newest commit of {model} ({error}): name one with --revision. "
            "For a gated model set HF_TOKEN."
        ) from None


def _dollars(answer: str) -> float:
    try:
        return float(answer)
    except ValueError:
        raise TwinError(f"{answer!r} is no number of US dollars: nothing was written.") from None


def _region() -> str | None:
    """The region of the environment or the profile, None when neither names one."""
    try:
        return named_region() or boto3.Session().region_name
    except BotoCoreError:
        return None
