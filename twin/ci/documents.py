"""Documents that a stage asks for after a deployment: into its own vector store, by whatever can reach it."""

from __future__ import annotations

from typing import Any

from infra.settings.deployment import SettingsError, load_settings
from twin.ask.ingest import ingest
from twin.target.errors import TwinError
from twin.target.paths import ROOT
from twin.target.progress import Progress
from twin.target.stage import Stage

S3 = "s3://"


def ingest_documents(stage: Stage, progress: Progress) -> dict[str, Any] | None:
    """Ingest `rag.documents` of the stage's settings; returns the report, None when nothing was ingested.

    A store that the stage hosts lets in only what runs in its network: its documents come from
    `rag.documents_bucket`, by a task there, and without a bucket there is nothing that this machine could do.

    Raises:
        TwinError: the settings are wrong, or the ingest failed.
    """
    try:
        settings = load_settings(stage.name)
    except SettingsError as error:
        raise TwinError(str(error)) from None
    source, bucket = settings.rag.documents, settings.rag.documents_bucket
    if source is None:
        progress(f"Stage {stage.name} asks for no documents (rag.documents): nothing is ingested.")
        return None
    if source.startswith(S3):
        return ingest(stage, source)
    if settings.vectors.hosted is not None and stage.local is None:
        if bucket is None:
            progress(
                f"The vector store of stage {stage.name} cannot be reached from here: copy the documents to a bucket "
                "and name it in rag.documents_bucket. Nothing is ingested."
            )
            return None
        progress(f"The vector store of stage {stage.name} cannot be reached from here: {S3}{bucket} is ingested there.")
        return ingest(stage, f"{S3}{bucket}")
    return ingest(stage, ROOT / source)
