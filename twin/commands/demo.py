"""`twin demo`: the whole story on this machine, from nothing and back to nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from localcloud import lifecycle

from twin import cdk
from twin.business import Business
from twin.commands import local
from twin.commands.ask import Answer
from twin.commands.delete import delete
from twin.commands.deploy import Deployed, bootstrap, finish, target
from twin.commands.drill import messages, release_llm, wait_for_message
from twin.commands.evaluate import evaluate, wait_for_samples
from twin.commands.ingest import ingest
from twin.console import Steps, console
from twin.errors import TwinError
from twin.overrides import DRILL_ENGINE, QUOTING_ENGINE, deployment_overrides
from twin.project import CORPUS, ROOT
from twin.stages import Stage
from twin.views import ask_aloud, show_proof, show_report, show_trace

QUESTION = "Why does a scale to zero endpoint need a long health check timeout?"
SAMPLE_SECONDS = 45.0
MESSAGE_SECONDS = 60.0


def _progress(line: str) -> None:
    console.print(f"   {line}", markup=False)


@dataclass
class Demo:
    """The steps of the demo over one running deployment."""

    steps: Steps = field(default_factory=Steps)

    def run(self) -> None:
        """Every step in order; whatever happens, nothing is left running.

        Raises:
            TwinError: when a step fails, or when a local cloud that is not the demo's runs already.
        """
        if lifecycle.status(ROOT) is not None:
            raise TwinError("A local cloud is running here already; the demo ends by deleting everything: run `make local-stop` first.")
        try:
            self._run()
        finally:
            local.stop()
        self.steps.print_times()

    def _run(self) -> None:
        deployed = self._deploy()
        stage = deployed.stage
        with self.steps.step("Ingest examples/corpus"):
            ingest(stage, CORPUS)
        with self.steps.step("Ask through the load balancer"):
            answer = ask_aloud(stage, QUESTION)
        with self.steps.step("Read the trace back"):
            show_trace(stage, answer.trace_id)
        with self.steps.step("Evaluate the monitored answers"):
            self._judge(deployed)
        with self.steps.step("Bad release: the LLM makes things up"):
            self._drill(deployed, answer)
        with self.steps.step("Roll back"):
            release_llm(stage, QUOTING_ENGINE, _progress)
            ask_aloud(stage, QUESTION)
        with self.steps.step("Delete, and prove it"):
            left = delete(stage, _progress)
            show_proof(left)
            if left:
                raise TwinError(f"{len(left)} resources survived the delete.")

    def _deploy(self) -> Deployed:
        with self.steps.step("Local cloud up, cdk bootstrap"):
            stage = target("local")
            overrides = deployment_overrides(stage)
            cdk.synth(stage.name, overrides)
            bootstrap(stage, overrides, _progress)
        with self.steps.step("cdk deploy --all"):
            cdk.deploy((), overrides, _progress)
        with self.steps.step("Ready through the load balancer"):
            deployed = finish(stage)
            with Business(stage, deployed.outputs) as business:
                console.print_json(json.dumps(business.wait_until_ready(10)))
        return deployed

    def _judge(self, deployed: Deployed) -> None:
        wait_for_samples(deployed.stage, deployed.outputs, SAMPLE_SECONDS)
        show_report(evaluate(deployed.stage))

    def _drill(self, deployed: Deployed, good: Answer) -> None:
        stage: Stage = deployed.stage
        seen = len(messages(stage))
        release_llm(stage, DRILL_ENGINE, _progress)
        bad = ask_aloud(stage, QUESTION)
        if bad.text == good.text:
            raise TwinError("The bad release answers just like the good one: the update did not reach the endpoint.")
        self._judge(deployed)
        message = wait_for_message(stage, seen, MESSAGE_SECONDS)
        console.print("[bold]   What arrived at the webhook:[/bold]")
        console.print_json(json.dumps(message.get("body", message)))
