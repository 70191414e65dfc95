"""Checks that the model is where the endpoint looks for it, may be read, and fits the GPU."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.settings.llm import LlmSettings
from twin.doctor import fit
from twin.doctor.check import Check, Need
from twin.doctor.context import Context
from twin.doctor.finding import UNCHECKED, Finding, failed, ok, skipped, warning
from twin.model import staging
from twin.model.bucket import Bucket
from twin.model.hub import Hub, HubError, hub_address
from twin.target.errors import TwinError

ON_HUB, ACCESS, FITS = "Model on the hub", "Access to the model", "Model fits the GPU"
STAGED, QUANTIZED = "Staged weights", "Quantization of the model"
IN_FILES = ("awq", "gptq")
"""Quantizations that a model's files have, or have not."""


def _served(llm: LlmSettings) -> list[tuple[LlmSettings, list[str]]]:
    """The settings of each model that the endpoint may serve, and the instance types on which it does."""
    shared = [kind for kind in llm.instance_types if kind not in llm.fallback_models]
    return [(llm, shared), *((llm.on(kind), [kind]) for kind in llm.fallback_models)]


def _on_hub(context: Context) -> Iterator[Finding]:
    if context.known.llm.weights == "s3":
        yield skipped(ON_HUB, "skipped: the endpoint loads staged weights and asks no hub")
        return
    for llm, _ in _served(context.known.llm):
        yield from _one_on_hub(context, llm)


def _one_on_hub(context: Context, llm: LlmSettings) -> Iterator[Finding]:
    page = f"{hub_address()}/{llm.model_id}"
    try:
        card = Hub(_readable_token(context) if llm.hub_token_secret_arn else None).card(
            llm.model_id, llm.model_revision
        )
    except HubError as error:
        yield _not_there(error, page, llm.model_id, llm.model_revision)
        return
    if card.disabled:
        yield failed(
            ON_HUB, f"{llm.model_id} is disabled", "the hub hands out no file of it", "choose another model_id"
        )
        return
    yield ok(ON_HUB, f"{llm.model_id} at {llm.model_revision[:8]}")
    yield _access(context, llm, page) if card.gated else ok(ACCESS, "public")


def _access(context: Context, llm: LlmSettings, page: str) -> Finding:
    why = "the container cannot download the weights, never gets healthy, and the stack rolls back"
    if llm.hub_token_secret_arn is None:
        fix = f"accept the terms at {page}, put a token into a secret, set `hub_token_secret_arn` in [llm]"
        return failed(ACCESS, f"{llm.model_id} is gated, and the endpoint has no token", why, fix)
    token = _secret_token(context)
    if token is None:
        return skipped(ACCESS, "skipped: no credentials to read the endpoint's token with")
    try:
        Hub(token).config(llm.model_id, llm.model_revision)
    except HubError as error:
        fix = f"accept the terms at {page} as the token's owner; a fine-grained token must allow gated repositories"
        return failed(ACCESS, f"gated, and the token may not read it: {error}", why, fix)
    return ok(ACCESS, "gated, and the endpoint's token may read it")


def _not_there(error: HubError, page: str, model: str, revision: str) -> Finding:
    why = "the container cannot download the weights, and the stack rolls back after its start-up timeout"
    if error.kind == "revision":
        fix = f"set `model_revision` in [llm] to a commit of {page}/commits/main"
        return failed(ON_HUB, f"{model} has no revision {revision}", why, fix)
    if error.kind in ("missing", "refused"):
        fix = f"look at {page}: correct `model_id`, or set `hub_token_secret_arn` in [llm] if it is private"
        return failed(ON_HUB, f"no {model} for this caller: {error}", why, fix)
    return warning(ON_HUB, str(error), UNCHECKED, f"look at {page}")


def _staged(context: Context) -> Iterator[Finding]:
    settings, llm = context.known, context.known.llm
    if llm.weights == "hub":
        yield skipped(STAGED, "skipped: the endpoint asks the hub")
        return
    account, region = context.caller.account, context.stage.region
    name = llm.weights_bucket or context.names.weights_bucket(account, region)
    bucket = Bucket(context.stage.client("s3"), name, region)
    place = staging.Place(llm.model_id, llm.model_revision, llm.weights_prefix)
    why = "the container starts without the model or with a part of it, never gets healthy, and the stack rolls back"
    fix = f"`twin model stage --stage {settings.stage}`"
    try:
        there = bucket.exists(account)
    except TwinError as error:
        yield failed(STAGED, str(error), why, "correct `weights_bucket` in [llm]")
        return
    listed = staging.listed(bucket, place) if there else {}
    uri = f"s3://{name}/{place.prefix}"
    if not listed:
        yield failed(STAGED, f"no complete model in {uri}", why, fix)
    elif wrong := staging.disagreeing(bucket, place, listed):
        yield failed(STAGED, f"{uri} lacks or has changed {', '.join(wrong)}", why, fix)
    else:
        yield ok(STAGED, f"{len(listed)} files in {uri}")


def _fits(context: Context) -> Iterator[Finding]:
    for llm, kinds in _served(context.known.llm):
        # The directory has the model of the settings, not those of single instance types.
        directory = None if llm is not context.known.llm else context.model_dir
        yield from _one_fits(context, llm, kinds, directory)


def _one_fits(context: Context, llm: LlmSettings, kinds: Sequence[str], directory: Path | None) -> Iterator[Finding]:
    try:
        machines = {kind: fit.gpus_of(kind) for kind in kinds}
        for kind, gpus in machines.items():
            if llm.accelerators > gpus.count:
                yield _too_few(llm, kind, gpus)
                return
        config, parameters = _facts(context, llm, directory)
        quantization = _option(llm, "QUANTIZATION", "QUANTIZE") or llm.quantization
        unquantized = fit.unquantized_parameters(config)
        weights = fit.weight_bytes(parameters, llm.dtype, quantization, unquantized)
        shape = fit.shape_of(config, weights, _cache_bytes(llm))
        utilisation = float(_option(llm, "GPU_MEMORY_UTILIZATION") or fit.UTILISATION)
    except (fit.FitUnknownError, HubError) as error:
        fix = "give the model's files: `twin doctor --model-dir DIR` with config.json and *.safetensors"
        yield warning(FITS, str(error), UNCHECKED, fix)
        return
    yield from _as_quantized(llm, config)
    for kind, gpus in machines.items():
        yield _judge(llm, kind, gpus, fit.fit(shape, gpus, llm.accelerators, utilisation))


def _as_quantized(llm: LlmSettings, config: Mapping[str, Any]) -> Iterator[Finding]:
    """Whether the files are quantized as the settings say; what the engine does itself needs no files."""
    said = (config.get("quantization_config") or {}).get("quant_method")
    if llm.quantization in IN_FILES and said != llm.quantization:
        seen = f"the settings say {llm.quantization}, the model's config.json {said or 'nothing of it'}"
        fix = f"a model_id whose files are quantized with {llm.quantization}, or another `quantization` in [llm]"
        yield failed(QUANTIZED, seen, "the weights would take more memory than planned", fix)
    elif said and llm.quantization == "bitsandbytes" and said != "bitsandbytes":
        seen = f"the files are quantized with {said} already"
        fix = '`quantization = "none"` in [llm]: the container knows it from the files'
        yield failed(QUANTIZED, seen, "vLLM refuses to quantize them again", fix)


def _too_few(llm: LlmSettings, kind: str, gpus: fit.Gpus) -> Finding:
    seen = f"one copy takes {llm.accelerators} GPUs, {kind} has {gpus.count}"
    why = "SageMaker never finds a place for the copy, and the stack rolls back"
    return failed(FITS, seen, why, "a bigger `instance_type` or fewer `accelerators` in [llm]")


def _judge(llm: LlmSettings, kind: str, gpus: fit.Gpus, outcome: fit.Fit) -> Finding:
    whose = f"{llm.model_id}: " if kind in llm.fallback_models else ""
    seen = (
        f"{whose}weights {outcome.weights / fit.GB:.1f} of {outcome.available / fit.GB:.1f} GB usable per GPU "
        f"({kind}: {gpus.count} x {gpus.memory / fit.GB:.0f} GB, {llm.accelerators} used)"
    )
    fix = "a bigger `instance_type`, more `accelerators`, a shorter `max_model_len` or a quantized model in [llm]"
    if kind in llm.fallback_instance_types and not whose:
        fix = f"{fix}, or a smaller one for this type in `fallback_models`"
    if outcome.room < 0:
        return failed(FITS, seen, "the container runs out of GPU memory while it loads the weights", fix)
    requests = outcome.room / llm.max_model_len
    seen = f"{seen}; cache for {outcome.room} tokens = {requests:.1f} requests of max_model_len {llm.max_model_len}"
    if requests < 1:
        return failed(FITS, seen, "vLLM refuses to start when one longest sequence does not fit its cache", fix)
    return ok(FITS, seen)


def _facts(context: Context, llm: LlmSettings, directory: Path | None) -> tuple[Mapping[str, Any], Mapping[str, int]]:
    if directory is not None:
        path = directory / "config.json"
        try:
            return json.loads(path.read_text(encoding="utf-8")), fit.stored_parameters(directory)
        except (OSError, ValueError) as error:
            raise fit.FitUnknownError(f"{path} or the weights beside it cannot be read: {error}") from None
    hub = Hub(_readable_token(context))
    card = hub.card(llm.model_id, llm.model_revision)
    return hub.config(llm.model_id, llm.model_revision), card.parameters


def _option(llm: LlmSettings, *names: str) -> str | None:
    """A vLLM option as the container takes it from its environment, by any of its names."""
    prefix = "SM_VLLM_" if llm.container == "vllm" else "OPTION_"
    return next((value for name in names if (value := llm.environment.get(f"{prefix}{name}"))), None)


def _cache_bytes(llm: LlmSettings) -> int:
    return 1 if (_option(llm, "KV_CACHE_DTYPE") or "auto").startswith("fp8") else 2


def _readable_token(context: Context) -> str | None:
    return _secret_token(context) or os.environ.get("HF_TOKEN")


def _secret_token(context: Context) -> str | None:
    arn = context.known.llm.hub_token_secret_arn
    if arn is None or context.identity is None:
        return None
    return context.stage.secret(arn)


CHECKS = (
    Check(ON_HUB, _on_hub, needs=(Need.SETTINGS,)),
    Check(STAGED, _staged),
    Check(FITS, _fits, needs=(Need.SETTINGS,)),
)
