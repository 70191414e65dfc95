"""`twin ci`: the steps of the delivery workflows; each runs on a laptop as it runs in a job."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from twin.errors import TwinError

app = typer.Typer(no_args_is_help=True, help=__doc__)

StageOption = Annotated[str, typer.Option(help="Target stage.", envvar="STAGE")]
COMMIT = ["COMMIT", "GITHUB_SHA"]
"""A pull request's job runs on a merge commit; COMMIT then names the one that was pushed."""
SMOKE_QUESTION = "Why does Ada keep the health check timeout so long?"


def _say(line: str) -> None:
    print(f"   {line}", file=sys.stderr, flush=True)


@app.command("preview-comment")
def preview_comment(
    commit: Annotated[str, typer.Option(envvar=COMMIT, help="The commit that is previewed.")],
    run_url: Annotated[str, typer.Option(envvar="PREVIEW_RUN_URL", help="Page of the run.")] = "",
    url: Annotated[str, typer.Option(envvar="PREVIEW_URL", help="Where the preview answers; empty: nowhere.")] = "",
    base: Annotated[Path, typer.Option(help="Cloud assembly of the base.")] = Path("base.out"),
    head: Annotated[Path, typer.Option(help="Cloud assembly of the change.")] = Path("head.out"),
    base_scores: Annotated[Path, typer.Option(help="Scores of the base.")] = Path("base-scores.json"),
    head_scores: Annotated[Path, typer.Option(help="Scores of the change.")] = Path("head-scores.json"),
    benchmarks: Annotated[Path, typer.Option(help="Folder of benchmark reports.")] = Path("benchmark-reports"),
    proof: Annotated[Path, typer.Option(help="What `twin delete --json` printed.")] = Path("proof.json"),
    dry_run: Annotated[bool, typer.Option(help="Print the comment, post nothing.")] = False,
) -> None:
    """Keep the pull request's one comment; what is not there yet is said to be missing."""
    from twin.ci import preview, scores, stack_diff
    from twin.ci.environment import Job, summarise
    from twin.ci.files import read_json
    from twin.ci.github import GitHub

    both = base.is_dir() and head.is_dir()
    scored = base_scores.is_file() and head_scores.is_file()
    reports = sorted(benchmarks.glob("*.json"))
    body = preview.render(
        preview.Preview(
            commit=commit,
            run_url=run_url,
            url=url or None,
            stacks=stack_diff.compare(base, head) if both else None,
            cost=_cost(base, head) if both else None,
            scores=scores.compare(scores.read(base_scores), scores.read(head_scores)) if scored else None,
            benchmarks=[goal for file in reports for goal in read_json(file)["goals"]] if reports else None,
            proof=read_json(proof) if proof.is_file() else None,
        )
    )
    print(body)
    summarise(body)
    if not dry_run:
        job = Job.read()
        with GitHub(job) as github:
            _say(github.keep_comment(job.pull_request, preview.MARKER, body))


@app.command()
def assembly(
    out: Annotated[Path, typer.Option(help="Folder to synthesize into.")],
    stage: StageOption = "dev",
) -> None:
    """Synthesize a stage into a folder of its own; needs neither credentials nor network."""
    from twin import cdk

    cdk.synth(stage, {}, out.resolve())


@app.command("release-notes")
def release_notes(tag: Annotated[str, typer.Option(help="Version tag, like v1.2.3.")]) -> None:
    """The section of CHANGELOG.md about a version; exit 1 when there is none."""
    from twin.ci.changelog import section
    from twin.project import ROOT

    print(section((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), tag.removeprefix("v")))


@app.command()
def scores(
    out: Annotated[Path, typer.Option(help="File to write.")],
    stage: StageOption = "local",
    file: Annotated[Path, typer.Option(help="Labelled questions.")] = Path("examples/retrieval.jsonl"),
    dataset: Annotated[
        str, typer.Option(envvar="DATASET", help="Dataset in Opik whose questions are evaluated as well.")
    ] = "",
) -> None:
    """Ask the stage every labelled question, and those of a dataset, and write the scores of each."""
    from twin.ci.scores import measure
    from twin.stages import connect

    found = measure(connect(stage), file)
    if dataset:
        from twin import opik_sdk

        opik_sdk.keep_quiet()
        from twin.evaluation.offline import Wish, evaluate_offline, goodness

        found |= goodness(evaluate_offline(connect(stage), Wish(dataset), _say))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"scores": found}, indent=1), encoding="utf-8")


@app.command()
def gate(
    base: Annotated[Path, typer.Option(help="Scores that must not be undercut.")],
    head: Annotated[Path, typer.Option(help="Scores of the candidate.")],
) -> None:
    """Exit 1 when the candidate's scores regressed, naming the samples; without a base there is nothing to undercut."""
    from twin.ci.environment import summarise
    from twin.ci.scores import gate as judge
    from twin.ci.scores import read

    candidate = read(head)
    if not base.exists():
        summarise("Evaluation gate: **nothing to compare with**; these scores become the first base.")
        _say(f"{base} does not exist: there is nothing to compare with.")
        return
    reasons = judge(read(base), candidate)
    summarise("\n".join(f"- {reason}" for reason in reasons) or "Evaluation gate: passed.")
    if reasons:
        raise TwinError(f"The evaluation gate is closed: {'; '.join(reasons)}.")


@app.command()
def smoke(
    stage: StageOption = "local",
    query: Annotated[str, typer.Option(help="Question about the corpus.")] = SMOKE_QUESTION,
) -> None:
    """One question through the public API: an answer with sources and a trace, or exit 1."""
    from twin.ci.environment import give
    from twin.commands.ask import ask
    from twin.deployment import outputs
    from twin.stages import connect

    target = connect(stage)
    answer = ask(target, query)
    missing = [
        name
        for name, there in (("text", answer.text.strip()), ("sources", answer.sources), ("trace", answer.trace_id))
        if not there
    ]
    if missing:
        raise TwinError(f"The answer of stage {stage} has no {' and no '.join(missing)}.")
    give("url", outputs(target)["ApiUrl"])
    print(f"{len(answer.text)} characters, {len(answer.sources)} sources, trace {answer.trace_id}")


@app.command("watch-alarms")
def watch_alarms(
    stage: StageOption = "local",
    minutes: Annotated[float, typer.Option(min=0, max=120, help="How long.")] = 15,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 15,
) -> None:
    """Watch the stage's alarms; exit 1 as soon as one starts to ring."""
    from twin.ci.alarms import watch
    from twin.stages import connect

    print(f"{watch(connect(stage), minutes * 60, every, _say)} alarms stayed quiet.")


@app.command()
def image(
    commit: Annotated[str, typer.Option(envvar=COMMIT, help="Commit, the image's tag.")], stage: StageOption
) -> None:
    """Build and push the service's image, once for a commit; gives its digest to later steps."""
    from twin.ci.environment import give
    from twin.ci.image import publish
    from twin.stages import connect

    release = publish(connect(stage), _image_repository(stage), commit)
    give("digest", release.digest)
    print(release.digest)


@app.command("image-build")
def image_build(
    commit: Annotated[str, typer.Option(envvar=COMMIT, help="Commit, a label of the image.")] = "unknown",
    name: Annotated[str, typer.Option(help="Name and tag.")] = "llm-twin/rag:ci",
) -> None:
    """Build the service's image and push it nowhere."""
    from twin.ci.image import build

    build(name, commit)


@app.command()
def dockerfile() -> None:
    """Exit 1 when the image's recipe breaks a rule of hadolint."""
    from twin.ci import inspection

    inspection.dockerfile()


@app.command()
def audit() -> None:
    """Exit 1 when a locked package has a known vulnerability, or could not be looked up."""
    from twin.ci import inspection

    inspection.audit()


@app.command()
def licences() -> None:
    """Licences of what the deployables contain; exit 1 when one may not be passed on."""
    from twin.ci import licences
    from twin.ci.environment import summarise

    found = licences.packages()
    report = licences.report(found)
    print(report)
    summarise(report)
    wrong = [f"{each.name} ({each.licence or 'none found'})" for each in found if not each.may_be_passed_on]
    if wrong:
        raise TwinError(f"Licences that are not in `twin.ci.licences.ALLOWED`: {', '.join(wrong)}.")


@app.command()
def secrets() -> None:
    """Exit 1 when a file that Git knows holds something like a secret that .secrets.toml does not accept."""
    from twin.ci import inspection

    inspection.secrets()


@app.command()
def sbom(
    out: Annotated[Path, typer.Option(help="File to write.")],
    deployable: Annotated[str, typer.Option(help="Name of its lock file.")] = "rag",
) -> None:
    """A CycloneDX document of a deployable's locked packages."""
    from twin.ci import inspection

    inspection.bill_of_materials(deployable, out)


@app.command()
def templates(assembly: Annotated[Path, typer.Option(help="Folder that a stage was synthesized into.")]) -> None:
    """Exit 1 when a synthesized template breaks a rule of checkov that infra/checkov.yaml does not accept."""
    from twin.ci import inspection

    inspection.templates(assembly)


@app.command("require-image")
def require_image(
    commit: Annotated[str, typer.Option(envvar=COMMIT, help="Commit, the image's tag.")],
    digest: Annotated[str, typer.Option(envvar="IMAGE_DIGEST", help="Digest that was built.")],
    stage: StageOption,
) -> None:
    """Exit 1 unless the commit's image is the one that was built: only that is promoted."""
    from twin.ci.releases import Release, require_same_image
    from twin.stages import connect

    require_same_image(connect(stage), _image_repository(stage), Release(commit, digest))


@app.command()
def remember(
    commit: Annotated[str, typer.Option(envvar=COMMIT, help="Commit that runs.")],
    digest: Annotated[str, typer.Option(envvar="IMAGE_DIGEST", help="Digest of its image.")],
    stage: StageOption,
) -> None:
    """Keep the release as the stage's last good one."""
    from twin.ci.releases import Release
    from twin.ci.releases import remember as keep
    from twin.stages import connect

    keep(connect(stage), Release(commit, digest))


@app.command()
def rollback(stage: StageOption) -> None:
    """Deploy the stage's last good release again: image, templates and prompts of that commit."""
    from twin.ci.environment import summarise
    from twin.ci.releases import roll_back
    from twin.stages import connect

    release = roll_back(connect(stage))
    summarise(f"**Rolled back** stage {stage} to `{release.commit}` with image `{release.digest}`.")
    print(f"Stage {stage} is back at {release.commit}.")


@app.command()
def teardown(
    stage: StageOption,
    confirm: Annotated[str, typer.Option(envvar="CONFIRM", help="The stage's name, typed again.")],
) -> None:
    """Delete a stage after a typed confirmation; exit 1 with the survivors if anything is left."""
    if confirm != stage:
        raise TwinError(f"The confirmation {confirm!r} is not the stage's name {stage!r}: nothing is deleted.")
    _delete([stage])


@app.command("teardown-expired")
def teardown_expired(
    stage: StageOption = "local",
    hours: Annotated[float, typer.Option(min=0, help="Life of a preview since its last deployment.")] = 24,
) -> None:
    """Delete every preview that is past its life; exit 1 with the survivors if anything is left.

    Previews are looked for where `stage` is: the same account and region.
    """
    from twin.ci.expired import previews
    from twin.stages import connect

    found = previews(connect(stage), datetime.now(UTC), timedelta(hours=hours))
    print(f"Past their time: {', '.join(found) or 'none'}")
    _delete(found)


@app.command("set-up")
def set_up(
    repository: Annotated[str, typer.Option(envvar="GITHUB_REPOSITORY", help="OWNER/NAME on GitHub.")],
    stage: StageOption,
) -> None:
    """Deploy the Delivery stack: this account trusts that repository's workflows from now on."""
    from twin.ci.setup import deploy_trust
    from twin.stages import connect

    for workflow, arn in deploy_trust(connect(stage), repository, _say).items():
        print(f"{workflow}: {arn}")


@app.command("connect")
def connect_github(stage: StageOption) -> None:
    """Give the repository its deployment environments and the variables that name the roles."""
    from twin.ci import setup
    from twin.ci.environment import Job
    from twin.ci.github import GitHub
    from twin.stages import connect

    target = connect(stage)
    with GitHub(Job.read()) as github:
        for line in setup.connect(github, setup.roles(target), target.region, setup.branch()):
            print(line)


def _cost(base: Path, head: Path) -> str:
    from twin.commands import cost
    from twin.cost import report

    difference = cost.compare(base, cost.templates("", head))
    return "\n\n".join(table.markdown() for table in report.diff_tables(difference))


def _image_repository(stage: str) -> str:
    from infra.settings import load_settings

    return load_settings(stage).business.image_repository


def _delete(stages: list[str]) -> None:
    from twin.ci.environment import summarise
    from twin.commands.delete import delete
    from twin.stages import connect

    left: list[str] = []
    failed: list[str] = []
    for stage in stages:
        try:
            found: list[Any] = delete(connect(stage), _say)
        except TwinError as error:
            # The others must not live on because this one resists.
            failed.append(f"{stage}: {error}")
            continue
        left += [f"{stage}: {each.service} {each.kind} {each.name}" for each in found]
    summarise(
        "\n".join(f"- {line}" for line in (*failed, *left)) or f"0 survivors of {', '.join(stages) or 'nothing'}."
    )
    if failed or left:
        raise TwinError(f"Not everything is gone: {'; '.join((*failed, *left))}.")
    print(f"0 survivors of {', '.join(stages) or 'nothing'}.")
