"""`twin model stage`: upload of the model's weights to the bucket that the endpoint loads them from."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from infra.names import PROJECT, Names
from infra.settings.deployment import DeploymentSettings, SettingsError, load_settings
from twin.model import staging
from twin.model.bucket import Bucket
from twin.model.hub import Hub, HubError, hub_address
from twin.target.errors import TwinError
from twin.target.paths import LOCAL
from twin.target.progress import Progress
from twin.target.stage import connect

TOKEN = "HF_TOKEN"  # noqa: S105 - the name of a variable


@dataclass(frozen=True)
class Outcome:
    """What a run did, or with `dry_run` would do.

    Attributes:
        uri: folder of the files in the bucket.
        present: paths of the files that were there before.
        uploaded: paths of the others.
        skipped: paths of the hub's files that are not staged.
        used: whether the stage's settings load the model from there.
    """

    model: str
    revision: str
    uri: str
    megabytes: float
    present: list[str]
    uploaded: list[str]
    skipped: list[str]
    used: bool
    dry_run: bool

    @property
    def sentence(self) -> str:
        """The outcome as a sentence."""
        if not self.uploaded:
            return f"Nothing to upload: all {len(self.present)} files are in {self.uri} with the checksums of the list."
        done = "would be uploaded" if self.dry_run else "uploaded and compared"
        return f"{len(self.uploaded)} files {done}, {len(self.present)} were there, in {self.uri}."


def stage_weights(
    stage_name: str, progress: Progress, *, scratch: Path | None = None, dry_run: bool = False
) -> Outcome:
    """Stage the model of a stage's settings.

    Args:
        scratch: where files are kept between download and upload.

    Raises:
        TwinError: the settings are wrong, the hub does not give the model, there is no bucket or not enough disk, or a
            checksum disagrees.
    """
    try:
        settings = load_settings(stage_name)
    except SettingsError as error:
        raise TwinError(str(error)) from None
    llm = settings.llm
    bucket, owner = _bucket(settings)
    is_new = not bucket.exists(owner)
    if is_new and llm.weights_bucket is not None:
        raise TwinError(
            f"There is no bucket {bucket.name}: create it, or remove weights_bucket from [llm] of {stage_name} to get "
            "one that is made here and deleted with the stage."
        )
    place = staging.Place(llm.model_id, llm.model_revision, llm.weights_prefix)
    try:
        hub = Hub(os.environ.get(TOKEN))
        planned = staging.plan(bucket, place, hub, is_new=is_new)
        if planned.missing and not dry_run:
            if llm.weights_bucket is None:
                bucket.create({**settings.tags, "project": PROJECT, "stage": settings.stage})
            folder = (scratch or LOCAL / "weights") / place.model / place.revision
            staging.stage(bucket, place, hub, planned, folder, progress)
    except HubError as error:
        raise TwinError(_explained(error, settings, hub_address())) from None
    except httpx.HTTPError as error:
        raise TwinError(f"The hub at {hub_address()} cannot be reached: {type(error).__name__} {error}.") from None
    return Outcome(
        model=place.model,
        revision=place.revision,
        uri=f"s3://{bucket.name}/{place.prefix}",
        megabytes=round(planned.size / 1e6, 3),
        present=sorted(file.path for file in planned.present),
        uploaded=[file.path for file in planned.missing],
        skipped=list(planned.skipped),
        used=llm.weights == "s3",
        dry_run=dry_run,
    )


def _bucket(settings: DeploymentSettings) -> tuple[Bucket, str]:
    """The bucket of the settings, and the account that must own it."""
    # The bucket must be in the endpoint's region, whatever this shell's is.
    target = replace(connect(settings.stage), region=settings.region)
    account: str = target.client("sts").get_caller_identity()["Account"]
    name = settings.llm.weights_bucket or Names.of(settings).weights_bucket(account, settings.region)
    client: Any = target.client("s3", connect_timeout=10, read_timeout=120)
    return Bucket(client, name, settings.region, settings.llm.weights_kms_key_arn), account


def _explained(error: HubError, settings: DeploymentSettings, address: str) -> str:
    llm = settings.llm
    page = f"{address}/{llm.model_id}"
    if error.kind == "revision":
        return f"{llm.model_id} has no revision {llm.model_revision}: take a commit of {page}/commits/main."
    if error.kind == "gated":
        fix = f"accept its terms at {page} and set {TOKEN} to a token that may read it"
        return f"{llm.model_id} is gated ({error}): {fix}."
    if error.kind in ("missing", "refused"):
        return (
            f"The hub has no {llm.model_id} for this caller ({error}): look at {page}, or set {TOKEN} if it is private."
        )
    return f"The hub does not give {llm.model_id}: {error}."
