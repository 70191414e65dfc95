"""`twin ci audit`, `secrets`, `licences` and the like: what a change must pass besides tests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from twin.target.errors import TwinError
from twin.terminal.options import StageOption

app = typer.Typer()


@app.command()
def assembly(
    out: Annotated[Path, typer.Option(help="Folder to synthesize into.")],
    stage: StageOption = "dev",
) -> None:
    """Synthesize a stage into a folder of its own; needs neither credentials nor network."""
    from twin.target import cdk

    cdk.synth(stage, {}, out.resolve())


@app.command()
def templates(assembly: Annotated[Path, typer.Option(help="Folder that a stage was synthesized into.")]) -> None:
    """Exit 1 when a synthesized template breaks a rule of checkov that infra/checkov.yaml does not accept."""
    from twin.ci import inspection

    inspection.templates(assembly)


@app.command()
def dockerfile() -> None:
    """Exit 1 when the image's recipe breaks a rule of hadolint."""
    from twin.ci import inspection

    inspection.dockerfile()


@app.command()
def workflows() -> None:
    """Exit 1 when actionlint or zizmor finds something in the workflows."""
    from twin.ci import inspection

    inspection.workflows()


@app.command()
def audit() -> None:
    """Exit 1 when a locked package has a known vulnerability, or could not be looked up."""
    from twin.ci import inspection

    inspection.audit()


@app.command()
def licences() -> None:
    """Licences of what the deployables contain; exit 1 when one may not be passed on."""
    from twin.ci import licences
    from twin.target.github_job import append_step_summary

    found = licences.packages()
    report = licences.report(found)
    print(report)
    append_step_summary(report)
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
