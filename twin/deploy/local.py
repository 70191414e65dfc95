"""`twin local-start`, `twin local-stop`: the stage `local` on this machine."""

from __future__ import annotations

import shutil

from localcloud import lifecycle
from twin.deploy.deploy import Deployed, deploy, target
from twin.target import cdk_shell, local_llm
from twin.target.errors import TwinError
from twin.target.paths import LOCAL, STATE_ROOT
from twin.target.progress import Progress
from twin.target.stage import address


def start(progress: Progress) -> Deployed:
    """Start the local cloud and deploy every stack; a failed start stops what it started.

    Raises:
        TwinError: naming the resource that failed and why.
    """
    running = lifecycle.status(STATE_ROOT) is not None
    try:
        deployed = deploy(target("local"), progress)
        cdk_shell.write(deployed.stage)
        return deployed
    except BaseException:
        if not running:
            lifecycle.stop(STATE_ROOT)
        raise


def urls(deployed: Deployed) -> dict[str, str]:
    """Address of each part of the local cloud.

    Raises:
        TwinError: the deployment is not local.
    """
    state = deployed.stage.local
    if state is None:
        raise TwinError(f"Stage {deployed.stage.name} is not local.")
    return {
        "API": f"http://{deployed.outputs['LoadBalancerName']}.alb.localhost:{state.ports['aws']}",
        "Traces (Opik)": address(state, "opik"),
        "Webhook sink": address(state, "sink"),
        "AWS endpoint": address(state, "aws"),
        "Qdrant": address(state, "qdrant"),
    }


def stop() -> None:
    """Stop the local cloud: no process and no port is left. What it keeps is there at the next start."""
    lifecycle.stop(STATE_ROOT)


def reset() -> None:
    """Stop the local cloud and remove everything of it: data, keys, the chosen LLM, logs. Other stages keep theirs."""
    lifecycle.remove_data(STATE_ROOT)
    local_llm.forget()
    shutil.rmtree(LOCAL / "logs", ignore_errors=True)
    for file in ("keys/local", "secrets/local.json", "aws-credentials", "qdrant-keys.json", "cdk.env"):
        (LOCAL / file).unlink(missing_ok=True)
