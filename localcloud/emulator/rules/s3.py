"""Rules of S3."""

from __future__ import annotations

from ministack.services import s3

from localcloud.emulator.rules.rule import Change, Checks, Values


def _not_empty(change: Change) -> Values | None:
    """A bucket with objects, or with earlier versions and markers of deletions, which CloudFormation is to delete."""
    if change.action != "delete":
        return None
    bucket = s3._buckets.get(change.physical_id)
    full = bucket is not None and (bucket["objects"] or s3._bucket_has_versions(change.physical_id))
    return {} if full else None


CHECKS: Checks = {
    "bucket-not-empty": _not_empty,
}
