"""The model: whether it is on the hub, whether the endpoint's token may read it, and whether it fits the GPU."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from twin.doctor import fit
from twin.doctor.check import Check, Need
from twin.doctor.context import Context
from twin.doctor.finding import Finding, failed, ok, skipped, warning
from twin.model.hub import Hub, HubError, hub_address

ON_HUB, ACCESS, FITS = "Model on the hub", "Access to the model", "Model fits the GPU"


def _on_hub(context: Context) -> Iterator[Finding]:
    llm, page = context.known.llm, f"{hub_address()}/{context.known.llm.model_id}"
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
    yield _access(context, page) if card.gated else ok(ACCESS, "public")


def _access(context: Context, page: str) -> Finding:
    llm = context.known.llm
    why = "the container cannot download the weights, never gets healthy, and the stack rolls back"
    if llm.hub_token_secret_arn is None:
        mend = f"accept the terms at {page}, put a token into a secret, set `hub_token_secret_arn` in [llm]"
        return failed(ACCESS, f"{llm.model_id} is gated, and the endpoint has no token", why, mend)
    token = _secret_token(context)
    if token is None:
        return skipped(ACCESS, "skipped: no credentials to read the endpoint's token with")
    try:
        Hub(token).config(llm.model_id, llm.model_revision)
    except HubError as error:
        mend = f"accept the terms at {page} as the token's owner; a fine-grained token must allow gated repositories"
        return failed(ACCESS, f"gated, and the token may not read it: {error}", why, mend)
    return ok(ACCESS, "gated, and the endpoint's token may read it")


def _not_there(error: HubError, page: str, model: str, revision: str) -> Finding:
    why = "the container cannot download the weights, and the stack rolls back after its start-up timeout"
    if error.kind == "revision":
        mend = f"set `model_revision` in [llm] to a commit of {page}/commits/main"
        return failed(ON_HUB, f"{model} has no revision {revision}", why, mend)
    if error.kind in ("missing", "refused"):
        mend = f"look at {page}: correct `model_id`, or set `hub_token_secret_arn` in [llm] if it is private"
        return failed(ON_HUB, f"no {model} for this caller: {error}", why, mend)
    return warning(ON_HUB, str(error), "nobody could look, so nobody knows", f"look at {page}")


def _fits(context: Context) -> Iterator[Finding]:
    llm = context.known.llm
    try:
        gpus = fit.gpus_of(llm.instance_type)
        if llm.accelerators > gpus.count:
            yield _too_few(context, gpus)
            return
        config, parameters = _facts(context)
        weights = fit.weight_bytes(parameters, llm.dtype, _option(llm.environment, "QUANTIZATION"))
        shape = fit.shape_of(config, weights, _cache_bytes(llm.environment))
        utilisation = float(_option(llm.environment, "GPU_MEMORY_UTILIZATION") or fit.UTILISATION)
        outcome = fit.fit(shape, gpus, llm.accelerators, utilisation)
    except (fit.FitUnknownError, HubError) as error:
        mend = "give the model's files: `twin doctor --model-dir DIR` with config.json and *.safetensors"
        yield warning(FITS, str(error), "nobody could calculate, so nobody knows", mend)
        return
    yield _judge(context, gpus, outcome)


def _too_few(context: Context, gpus: fit.Gpus) -> Finding:
    llm = context.known.llm
    seen = f"one copy takes {llm.accelerators} GPUs, {llm.instance_type} has {gpus.count}"
    why = "SageMaker never finds a place for the copy, and the stack rolls back"
    return failed(FITS, seen, why, "a bigger `instance_type` or fewer `accelerators` in [llm]")


def _judge(context: Context, gpus: fit.Gpus, outcome: fit.Fit) -> Finding:
    llm = context.known.llm
    seen = (
        f"weights {outcome.weights / fit.GB:.1f} of {outcome.available / fit.GB:.1f} GB usable per GPU "
        f"({llm.instance_type}: {gpus.count} x {gpus.memory / fit.GB:.0f} GB, {llm.accelerators} used)"
    )
    mend = "a bigger `instance_type`, more `accelerators`, a shorter `max_model_len` or a quantized model in [llm]"
    if outcome.room < 0:
        return failed(FITS, seen, "the container runs out of GPU memory while it loads the weights", mend)
    requests = outcome.room / llm.max_model_len
    seen = f"{seen}; cache for {outcome.room} tokens = {requests:.1f} requests of max_model_len {llm.max_model_len}"
    if requests < 1:
        return failed(FITS, seen, "vLLM refuses to start when one longest sequence does not fit its cache", mend)
    return ok(FITS, seen)


def _facts(context: Context) -> tuple[Mapping[str, Any], Mapping[str, int]]:
    if context.model_dir is not None:
        path = context.model_dir / "config.json"
        try:
            return json.loads(path.read_text(encoding="utf-8")), fit.stored_parameters(context.model_dir)
        except (OSError, ValueError) as error:
            raise fit.FitUnknownError(f"{path} or the weights beside it cannot be read: {error}") from None
    llm, hub = context.known.llm, Hub(_readable_token(context))
    card = hub.card(llm.model_id, llm.model_revision)
    return hub.config(llm.model_id, llm.model_revision), card.parameters


def _option(environment: Mapping[str, str], name: str) -> str | None:
    """A vLLM option as the container takes it from its environment."""
    return environment.get(f"SM_VLLM_{name}")


def _cache_bytes(environment: Mapping[str, str]) -> int:
    return 1 if (_option(environment, "KV_CACHE_DTYPE") or "auto").startswith("fp8") else 2


def _readable_token(context: Context) -> str | None:
    return _secret_token(context) or os.environ.get("HF_TOKEN")


def _secret_token(context: Context) -> str | None:
    arn = context.known.llm.hub_token_secret_arn
    if arn is None or context.identity is None:
        return None
    value: str = context.stage.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
    return value.strip()


CHECKS = (
    Check(ON_HUB, _on_hub, needs=(Need.SETTINGS,)),
    Check(FITS, _fits, needs=(Need.SETTINGS,)),
)
