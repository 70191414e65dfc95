"""`twin synth`, `deploy`: the stacks of a stage."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from twin.target.errors import TwinError
from twin.terminal.console import console, print_json, print_table
from twin.terminal.options import JsonOption, StageOption, progress

if TYPE_CHECKING:
    from twin.deploy.deploy import Deployed
    from twin.deploy.plan import Plan
    from twin.target.stage import Stage

app = typer.Typer()


@app.command()
def synth(stage: StageOption = "local") -> None:
    """Synthesize the stacks of a stage into cdk.out.

    Needs neither credentials nor network.
    """
    from twin.target import cdk
    from twin.target.paths import CDK_OUT

    cdk.synth(stage, {})
    console.print(f"Stage {stage} is in {CDK_OUT.name}/.")


@app.command()
def deploy(
    stage: StageOption = "local",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before something is made for the first time.")] = False,
    ask: Annotated[
        str | None, typer.Option(help="A question to ask at the end, which wakes the model: a GPU by the hour.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Deploy a stage and wait until its service is ready.

    On a bare account it prepares the account first, builds the image there, and ingests the stage's documents; price
    and time are said before, with one question. The same command goes on after any failure.
    """
    from twin.deploy import local

    answers: list[str] = []

    def put_question(target: Stage) -> None:
        """Ask, if there is a question, once the stage is deployed."""
        if ask is not None:
            answers.append(_ask(target, ask, quiet=as_json))

    if stage == "local":
        deployed = local.start(progress)
        put_question(deployed.stage)
    else:
        deployed = _deploy_on_aws(stage, ask, put_question, yes=yes)
    if as_json:
        print_json({**deployed.outputs, **({"answer": answers[0]} if answers else {})})
        return
    print_table(f"Stage {stage}", ("output", "value"), sorted(deployed.outputs.items()))
    if stage != "local" and ask is None:
        console.print(f'\nNext: twin ask --wait --stage {stage} "..."')


def _deploy_on_aws(name: str, question: str | None, asked: Callable[[Stage], None], *, yes: bool) -> Deployed:
    from twin.deploy import plan as planning
    from twin.deploy import run
    from twin.deploy.deploy import refuse_examples
    from twin.target.stage import connect

    stage = connect(name)
    refuse_examples(stage)
    plan = planning.look(stage, question)
    if plan.is_new:
        _refuse_bootstrap_of_a_machine(stage, plan, yes=yes)
        for line in planning.lines(stage, plan):
            progress(line)
        if planning.has_person() and not yes and not typer.confirm("Go on?", default=False, err=True):
            raise TwinError("Nothing was made.")
    return run.run(stage, plan, progress, lambda: asked(stage))


def _refuse_bootstrap_of_a_machine(stage: Stage, plan: Plan, *, yes: bool) -> None:
    """The bootstrap is a decision of the account's owner: a person's, by an answer or by `--yes`.

    Raises:
        TwinError: a workflow would bootstrap, or a program without `--yes`.
    """
    from twin.deploy.plan import BOOTSTRAP, has_person, in_ci

    if plan.has(BOOTSTRAP) and (in_ci() or not (yes or has_person())):
        raise TwinError(
            f"Account {plan.account} has no CDK bootstrap stack in {stage.region}: run "
            f"`twin account bootstrap --stage {stage.name}` once."
        )


def _ask(stage: Stage, question: str, *, quiet: bool) -> str:
    """The answer to a question, printed as it comes unless `quiet`; a sleeping model is woken."""
    from twin.ask.view import ask_and_print
    from twin.target.answer import ask
    from twin.target.api_client import ApiClient
    from twin.target.waking import await_service

    with ApiClient(stage) as api:
        await_service(stage, api, progress)
    answer = ask(stage, question) if quiet else ask_and_print(stage, question)
    if not answer.text.strip():
        raise TwinError("The answer has no text.")
    return answer.text
