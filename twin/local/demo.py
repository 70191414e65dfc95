"""`twin demo`: deploy, ask, evaluate, alarm, roll back and delete on this machine."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field

from localcloud import lifecycle
from twin.ask.ingest import ingest
from twin.ask.view import TRACE_SECONDS, ask_and_print, show_ingest, show_trace
from twin.delete.delete import delete
from twin.delete.view import show_survivors
from twin.deploy.deploy import Deployed, deploy_stacks, ensure_bootstrap, finish, target
from twin.evaluate.monitoring import evaluate_answer
from twin.evaluate.view import show_report
from twin.local.bad_release import bad_release, messages, recovered, roll_back
from twin.local.view import show_message
from twin.target.api_client import ApiClient
from twin.target.cdk_environment import deployment_overrides
from twin.target.errors import TwinError
from twin.target.local_llm import QUOTING_ENGINE
from twin.target.opik_client import opik_reader
from twin.target.paths import CORPUS, STATE_ROOT
from twin.terminal.console import Steps, console

TIME_FACTOR, QUICK = "LOCALCLOUD_TIME_FACTOR", "200"
QUESTION = "Why does a scale to zero endpoint need a long health check timeout?"


def refuse_another_local_cloud() -> None:
    """Refuse where the demo would mix its answers with those of another local cloud, and delete both.

    Raises:
        TwinError: a local cloud runs here, or has left data.
    """
    if lifecycle.status(STATE_ROOT) is not None:
        raise TwinError(
            "A local cloud is running here, and the demo ends by deleting everything: run `make local-stop` first."
        )
    if lifecycle.data_folder(STATE_ROOT).exists():
        raise TwinError(
            "A local cloud of before has documents and traces here, which the demo would delete at its end: "
            "`make local-start` goes on with them, `.venv/bin/twin local-reset` deletes them."
        )


def _progress(line: str) -> None:
    console.print(f"   {line}", markup=False)


@dataclass
class Demo:
    """The steps of the demo over one running deployment."""

    keep: bool = False
    steps: Steps = field(default_factory=Steps)

    def run(self) -> None:
        """Every step in order; whatever happens, nothing is left, unless everything is to be kept.

        Raises:
            TwinError: when a step fails, or when there is a local cloud already that is not the demo's.
        """
        refuse_another_local_cloud()
        # AWS deletes a distribution for minutes after its stack: here a second and a half, instead of six.
        os.environ.setdefault(TIME_FACTOR, QUICK)
        ended = False
        try:
            self._run()
            ended = True
        finally:
            if not (self.keep and ended):
                lifecycle.remove_data(STATE_ROOT)
        self.steps.print_times()
        if self.keep:
            console.print(
                "Everything runs on: `twin ask`, `twin trace`, and `make delete-inference-pipeline-deployment`."
            )

    def _run(self) -> None:
        deployed = self._deploy()
        stage = deployed.stage
        with self.steps.step("Ingest examples/corpus"):
            show_ingest(ingest(stage, CORPUS))
        with self.steps.step("Ask through the load balancer"):
            answer = ask_and_print(stage, QUESTION)
        with self.steps.step("Read the trace back"):
            reader = opik_reader(stage)
            show_trace(reader, reader.wait_for(answer.trace_id, TRACE_SECONDS))
        with self.steps.step("Evaluate the monitored answers"):
            show_report(evaluate_answer(stage, answer.trace_id))
        with self.steps.step("Bad release: the LLM makes things up"):
            drill = bad_release(stage, QUESTION, ask_and_print, _progress)
            show_report(drill.report)
            console.print("[bold]   What arrived at the webhook:[/bold]")
            show_message(drill.message)
        with self.steps.step("Roll back"):
            seen = len(messages(stage))
            answer = roll_back(stage, QUESTION, ask_and_print, _progress, engine=QUOTING_ENGINE)
            console.print("[bold]   What arrived at the webhook:[/bold]")
            show_message(recovered(stage, answer.trace_id, seen))
        if self.keep:
            return
        with self.steps.step("Delete, and prove it"):
            left = delete(stage, _progress)
            show_survivors(left)
            if left:
                raise TwinError(f"{len(left)} resources survived the delete.")

    def _deploy(self) -> Deployed:
        with self.steps.step("Local cloud up, cdk bootstrap"):
            stage = target("local")
            overrides = deployment_overrides(stage, QUOTING_ENGINE)
            ensure_bootstrap(stage, _progress)
        with self.steps.step("cdk deploy --all"):
            deploy_stacks(stage, overrides, _progress)
        with self.steps.step("Ready through the load balancer"):
            deployed = finish(stage, _progress)
            with ApiClient(stage, deployed.outputs) as api:
                console.print_json(json.dumps(api.wait_until_awake(10)))
        return deployed
