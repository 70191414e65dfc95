"""Documents that a stage asks for after a deployment: into its own vector store, by whatever can reach it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from infra.settings.deployment import DeploymentSettings, SettingsError, load_settings
from twin.ask.ingest import ingest
from twin.target.deployment import outputs
from twin.target.errors import TwinError
from twin.target.paths import ROOT
from twin.target.progress import Progress
from twin.target.stage import Stage

S3 = "s3://"
EXAMPLES = ROOT / "examples"


def documents_of(stage: Stage, settings: DeploymentSettings) -> tuple[str | None, str]:
    """What is ingested into a stage, and how that came about: a source, or None with the reason.

    A store that the stage hosts lets in only what runs in its network: its documents come from `rag.documents_bucket`,
    or from the stage's own bucket, by a task there. The example corpus goes into no stage that lasts: people would be
    answered from it.
    """
    source, bucket = settings.rag.documents, settings.rag.documents_bucket
    if source is None and bucket is None:
        return None, f"Stage {stage.name} asks for no documents (rag.documents): nothing is ingested."
    if source is not None and source.startswith(S3):
        return source, f"{source} is ingested by a task of the stage."
    if stage.is_local:
        return str(ROOT / str(source)), f"{source} is ingested."
    if bucket is not None and (source is None or settings.vectors.hosted is not None):
        return f"{S3}{bucket}", f"{S3}{bucket} is ingested by a task of the stage."
    folder = (ROOT / str(source)).resolve()
    if folder.is_relative_to(EXAMPLES.resolve()) and not settings.guard.enabled:
        return None, f"Stage {stage.name} lasts, so that the example corpus is not ingested: set rag.documents."
    if settings.keeps_documents:
        return str(folder), f"{source} is copied into the stage's bucket, and ingested by a task of the stage."
    return str(folder), f"{source} is ingested."


def ingest_source(stage: Stage, settings: DeploymentSettings, source: str) -> dict[str, Any]:
    """Ingest a source of `documents_of`; a folder for a hosted store by way of the stage's own bucket.

    Raises:
        TwinError: the ingest failed.
    """
    if stage.is_local or not settings.keeps_documents or source.startswith(S3):
        return ingest(stage, source)
    bucket, client = outputs(stage)["DocumentsBucket"], stage.client("s3")
    for path in sorted(each for each in Path(source).rglob("*") if each.is_file()):
        client.put_object(Bucket=bucket, Key=path.relative_to(source).as_posix(), Body=path.read_bytes())
    return ingest(stage, f"{S3}{bucket}")


def ingest_documents(stage: Stage, progress: Progress) -> dict[str, Any] | None:
    """Ingest what `documents_of` says, as a workflow may; returns the report, None when nothing was ingested.

    Without `rag.documents` it ingests nothing, so that a push to production changes no documents there. A folder for a
    hosted store is a person's to copy: no workflow's role may write to a bucket.

    Raises:
        TwinError: the settings are wrong, or the ingest failed.
    """
    try:
        settings = load_settings(stage.name)
    except SettingsError as error:
        raise TwinError(str(error)) from None
    source, why = documents_of(stage, settings)
    if settings.rag.documents is None:
        progress(f"Stage {stage.name} asks for no documents (rag.documents): nothing is ingested.")
        return None
    if source is not None and settings.keeps_documents and not stage.is_local:
        progress(
            f"No workflow copies documents: `twin deploy --stage {stage.name}` of a person does. Nothing is ingested."
        )
        return None
    progress(why)
    return None if source is None else ingest(stage, source)
