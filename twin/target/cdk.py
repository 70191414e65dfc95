"""Runs the real CDK command line and turns its output into progress and readable failures."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from twin.target.errors import TwinError
from twin.target.node import find_node
from twin.target.paths import CDK_OUT, JSII_CACHE, LOCAL, ROOT, STATE_ROOT, VENV
from twin.target.program import running
from twin.target.progress import Progress

LOG = LOCAL / "logs" / "cdk.log"
EVENT = re.compile(
    r"^(?P<stack>\S++) \|\s++(?:(?P<done>\d+)/(?P<all>\d+) )?.*? "
    r"\| (?P<status>[A-Z_]++)\s++\| (?P<type>\S++)\s++\| (?P<name>.*)$"
)
RESOURCE = re.compile(r"^(?:(?P<path>.+?) \((?P<id>\w+)\)|(?P<bare>\w+))\s*(?P<reason>.*)$")
EXPRESS = ("--express", "--rollback")
"""Express mode turns rollback off; without it CloudFormation refuses to replace anything, such as each new task
definition, and leaves the stack where only another express deployment gets it out:
https://github.com/aws/aws-cdk-cli/issues/1931, https://github.com/aws/aws-cdk-cli/pull/1970."""
VALIDATE_SECONDS = 540
NOT_FOR_LOCAL = ("AWS_CA_BUNDLE", "AWS_PROFILE", "AWS_SESSION_TOKEN")

Failed = Callable[[str, str, str, str], None]
"""Called with each failed resource at once: its stack, type, logical id and CloudFormation's reason."""


def environment(overrides: Mapping[str, str]) -> dict[str, str]:
    """The process environment for the CDK command line: caches inside the checkout, no prompts, no telemetry.

    Raises:
        TwinError: when set-up has not run.
    """
    node = find_node(VENV)
    if node is None:
        raise TwinError("Node was not found: run `make setup`.")
    env = {
        name: value
        for name, value in os.environ.items()
        if "AWS_ENDPOINT_URL" not in overrides or name not in NOT_FOR_LOCAL
    }
    return {
        **env,
        "PATH": f"{node.parent}{os.pathsep}{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
        **own_environment(),
        "CI": "1",
        **overrides,
    }


def own_environment() -> dict[str, str]:
    """Variables of the CDK itself: caches inside the checkout, no telemetry."""
    return {
        "CDK_HOME": str(LOCAL / "cdk"),
        "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(JSII_CACHE),
        "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
        "CDK_DISABLE_CLI_TELEMETRY": "true",
    }


def synth(stage: str, overrides: Mapping[str, str], output: Path = CDK_OUT) -> None:
    """Synthesize every stack of `stage` into `output`; needs neither credentials nor network."""
    _run(("synth", "--quiet", *_app(stage, output)), {**overrides, "STAGE": stage}, None)


def bootstrap(account: str, region: str, qualifier: str, overrides: Mapping[str, str]) -> None:
    """Prepare an account and region for CDK deployments under a qualifier."""
    # Where a cdk.json is, its app would be synthesized first, although an account and region are given.
    _run(("bootstrap", f"aws://{account}/{region}", "--qualifier", qualifier), overrides, None, folder=LOCAL)


def deploy(
    stage: str,
    stacks: Iterable[str],
    overrides: Mapping[str, str],
    progress: Progress,
    *,
    exclusively: bool = False,
    express: bool = False,
    failed: Failed | None = None,
    context: tuple[str, ...] = (),
) -> None:
    """Synthesize `stage` and deploy those of its stacks that are named, or all, in one run of the command line.

    Args:
        stage: name of the stage.
        stacks: full names; empty for all.
        overrides: environment of the CDK.
        progress: called with each completed resource.
        exclusively: leave out what the named stacks depend on.
        express: CloudFormation is done before what it made is ready, and the caller has to wait for that.
        failed: called with each failed resource.
        context: further options that the app reads.

    Raises:
        TwinError: naming each resource that failed, with CloudFormation's reason.
    """
    targets = tuple(stacks) or ("--all",)
    options = ("--require-approval", "never", "--progress", "events", "--concurrency", "4")
    only = ("--exclusively",) if exclusively else ()
    more = (*context, *options, *only, *(EXPRESS if express else ()))
    arguments = ("deploy", *targets, *_app(stage, CDK_OUT), *more)
    _run(arguments, {**overrides, "STAGE": stage}, progress, failed)


def validate(stage: str, overrides: Mapping[str, str]) -> tuple[str, bool]:
    """What CloudFormation says about the templates of `stage`, and whether nothing was found: `cdk validate --online`.

    It makes a change set of each stack and deletes it, together with a stack that exists for that only.

    Raises:
        TwinError: it takes longer than `VALIDATE_SECONDS`.
    """
    options = ("--online", "--unstable=validate", "--no-notices", "--no-version-reporting")
    command = [str(ROOT / "node_modules" / ".bin" / "cdk"), "validate", *_app(stage, CDK_OUT), *options]
    env = {**environment({**overrides, "STAGE": stage}), "NO_COLOR": "1"}
    # In CI mode messages go to the output and errors as well, but Node's and the CDK's own warnings do not.
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=VALIDATE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise TwinError(f"`cdk validate` took longer than {VALIDATE_SECONDS} s.") from None
    return f"{done.stdout}\n{done.stderr}", done.returncode == 0


def _app(stage: str, output: Path) -> tuple[str, ...]:
    return "--output", str(output), "--context", f"stage={stage}"


def _run(
    arguments: Iterable[str],
    overrides: Mapping[str, str],
    progress: Progress | None,
    failed: Failed | None = None,
    *,
    folder: Path = ROOT,
) -> None:
    command = [str(ROOT / "node_modules" / ".bin" / "cdk"), *arguments, "--no-notices", "--no-version-reporting"]
    LOG.parent.mkdir(parents=True, exist_ok=True)
    failures: list[str] = []
    lines: list[str] = []
    # A session of its own: Node, its Python child and what they started end together.
    options = {"cwd": folder, "env": environment(overrides), "stdin": subprocess.DEVNULL}
    with LOG.open("a") as log, running(command, start_new_session=True, **options) as process:
        log.write(f"\n$ cdk {' '.join(command[1:])}\n")
        for line in process.stdout or ():
            log.write(line)
            lines.append(line.rstrip())
            _follow(line.rstrip(), failures, progress, failed)
        code = process.wait()
    if code != 0:
        raise TwinError(_explain(command[1], failures, lines))


def _follow(line: str, failures: list[str], progress: Progress | None, failed: Failed | None = None) -> None:
    event = EVENT.match(line)
    if event is None:
        return
    if event["status"].endswith("_FAILED"):
        failures.append(f"{event['stack']}: {event['type']} {event['name'].strip()}")
        resource = RESOURCE.match(event["name"].strip())
        if failed is not None and resource is not None:
            failed(event["stack"], event["type"], resource["id"] or resource["bare"], resource["reason"])
    elif progress is not None and event["status"].endswith("_COMPLETE"):
        count = f"{event['done']}/{event['all']}" if event["done"] else ""
        progress(f"{event['stack']:<24} {count:>7}  {event['type']}")


def _explain(verb: str, failures: list[str], lines: list[str]) -> str:
    where = f"The whole output is in {LOG.relative_to(STATE_ROOT)}."
    if failures:
        return f"`cdk {verb}` failed: " + "; ".join(dict.fromkeys(failures)) + f". {where}"
    tail = "\n".join(line for line in lines[-15:] if line)
    return f"`cdk {verb}` failed. {where} Its end:\n{tail}"
