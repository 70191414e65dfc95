"""Rules of ECR."""

from __future__ import annotations

from ministack.core.responses import get_account_id
from ministack.services import ecr

from localcloud.emulator.rules.rule import Call, Change, Checks, Values


def _exists(change: Change) -> Values | None:
    name = change.after.get("RepositoryName")
    return {"name": name} if change.action == "create" and name in ecr._repositories else None


def _not_empty(request: Call | Change) -> Values | None:
    if isinstance(request, Call):
        name, forced = request.parameters.get("repositoryName"), request.parameters.get("force", False)
    elif request.action == "delete":
        name, forced = request.physical_id, str(request.before.get("EmptyOnDelete", "")).lower() == "true"
    else:
        return None
    return None if forced or not ecr._images.get(name) else {"name": name, "registry": get_account_id()}


def _immutable(call: Call) -> Values | None:
    name, tag = call.parameters.get("repositoryName"), call.parameters.get("imageTag")
    repository = ecr._repositories.get(name) or {}
    if not tag or repository.get("imageTagMutability") != "IMMUTABLE":
        return None
    taken = any(tag in image.get("imageTags", ()) for image in ecr._images.get(name) or ())
    return {"name": name, "tag": tag} if taken else None


CHECKS: Checks = {
    "repository-exists": _exists,
    "repository-not-empty": _not_empty,
    "image-tag-immutable": _immutable,
}
