"""Documents that a stage asks for after a deployment: into its own vector store, by whatever can reach it."""

from __future__ import annotations

from typing import Any

from infra.settings.deployment import DeploymentSettings, SettingsError, load_settings
from twin.ask.ingest import ingest
from twin.target.errors import TwinError
from twin.target.paths import ROOT
from twin.target.progress import Progress
from twin.target.stage import Stage

S3 = "s3://"
EXAMPLES = ROOT / "examples"


def documents_of(stage: Stage, settings: DeploymentSettings) -> tuple[str | None, str]:
    """What is ingested into a stage, and how that came about: a source, or None with the reason.

    A store that the stage hosts lets in only what runs in its network: its documents come from
    `rag.documents_bucket`, by a task there, and without a bucket there is nothing that this machine could do. The
    example corpus goes into no stage that lasts: people would be answered from it.
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
    if settings.vectors.hosted is not None:
        return None, (
            f"The vector store of stage {stage.name} cannot be reached from here: copy the documents to a bucket and "
            f"name it (`twin init --stage {stage.name} --documents BUCKET`). Nothing is ingested."
        )
    folder = (ROOT / str(source)).resolve()
    if folder.is_relative_to(EXAMPLES.resolve()) and not settings.guard.enabled:
        return None, f"Stage {stage.name} lasts, so that the example corpus is not ingested: set rag.documents."
    return str(folder), f"{source} is ingested."


def ingest_documents(stage: Stage, progress: Progress) -> dict[str, Any] | None:
    """Ingest what `documents_of` says; returns the report, None when nothing was ingested.

    Raises:
        TwinError: the settings are wrong, or the ingest failed.
    """
    try:
        settings = load_settings(stage.name)
    except SettingsError as error:
        raise TwinError(str(error)) from None
    source, why = documents_of(stage, settings)
    progress(why)
    return None if source is None else ingest(stage, source)
