"""The end of a stage's time: the guard parks its model, no question wakes it, and a deployment brings it back."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.conftest import Twin

QUESTION = "What does Bruno measure before he raises the batch size?"
BACK = "is parked: `twin deploy --stage local` brings it back"


def copies(twin: Twin, component: str) -> int:
    found = twin.client("sagemaker").describe_inference_component(InferenceComponentName=component)
    return int(found["RuntimeConfig"]["DesiredCopyCount"])


def test_a_parked_stage_refuses_questions_until_it_is_deployed(twin: Twin, started: dict[str, Any]) -> None:
    component = started["outputs"]["InferenceComponentName"]
    assert twin.json("ask", QUESTION, "--no-sample")["sources"]
    answer = twin.client("lambda").invoke(
        FunctionName=started["outputs"]["ExpireFunctionName"], Payload=json.dumps({"action": "park"})
    )
    assert json.loads(answer["Payload"].read()) == {"parked": [component], "deleted": [], "absent": []}
    assert copies(twin, component) == 0

    refused = twin.run("ask", "--wait", QUESTION)
    assert refused.returncode == 1
    assert BACK in " ".join(refused.stderr.split())
    assert copies(twin, component) == 0

    deployed = twin.run("deploy")
    assert deployed.returncode == 0, deployed.stderr[-3000:]
    assert "its scaling goes on" in " ".join((deployed.stdout + deployed.stderr).split())
    assert twin.json("ask", "--wait", QUESTION, "--no-sample")["sources"]
