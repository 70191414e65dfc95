"""Rules of Lambda."""

from __future__ import annotations

import json

from ministack.services import lambda_svc

from localcloud.emulator.rules.rule import Call, Change, Checks, Values

LARGEST_WITHOUT_WINDOW = 10
ENVIRONMENT_BYTES = 4096
RESERVED = (
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
)
"""Variables that others were refused; Lambda sets some more."""
UNZIPPED_BYTES = 262_144_000
"""Of a function's code and its layers together."""


def _gathers_without_window(request: Call | Change) -> Values | None:
    """Batches that Lambda has to gather, without a time in which it may; streams are not looked at."""
    if isinstance(request, Change) and request.action == "delete":
        return None
    wanted = request.after if isinstance(request, Change) else request.parameters
    source = wanted.get("EventSourceArn")
    if not isinstance(source, str) or ":sqs:" not in source:
        return None
    size, window = int(wanted.get("BatchSize") or 0), int(wanted.get("MaximumBatchingWindowInSeconds") or 0)
    return {} if size > LARGEST_WITHOUT_WINDOW and window < 1 else None


def _variables(request: Call | Change) -> dict[str, str]:
    wanted = request.parameters if isinstance(request, Call) else request.after
    found = (wanted.get("Environment") or {}).get("Variables") or {}
    return {str(name): str(value) for name, value in found.items()}


def _large_environment(request: Call | Change) -> Values | None:
    measured = json.dumps(_variables(request), separators=(",", ":"), ensure_ascii=False)
    return {"measured": measured} if len(measured.encode()) > ENVIRONMENT_BYTES else None


def _reserved_variables(request: Call | Change) -> Values | None:
    names = [name for name in _variables(request) if name in RESERVED]
    return {"names": ", ".join(names)} if names else None


def _large(change: Change) -> Values | None:
    """Code and layers in the words for both: MiniStack has the same limit, and says of both what AWS says of code."""
    layers, code = change.after.get("Layers") or (), change.after.get("Code") or {}
    if not layers:
        return None
    size = sum(lambda_svc._layer_unzipped_size(str(layer)) for layer in layers)
    if "S3Key" in code:
        package = lambda_svc._fetch_code_from_s3(code["S3Bucket"], code["S3Key"], code.get("S3ObjectVersion"))
        size += lambda_svc._unzipped_size(package)
    return {"most": UNZIPPED_BYTES, "actual": size} if size > UNZIPPED_BYTES else None


CHECKS: Checks = {
    "function-environment-size": _large_environment,
    "function-environment-names": _reserved_variables,
    "function-size": _large,
    "batch-window": _gathers_without_window,
}
