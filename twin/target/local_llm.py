"""The LLM of stage `local`: the quoting engine, or an OpenAI-compatible server that the operator runs.

The choice of a start is kept for the next ones, since a start that brought another model back without a word would be a
surprise. A server's key is in a file of its own, readable by its user alone: an environment variable would stand in the
template.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from twin.target.errors import TwinError
from twin.target.paths import LOCAL

QUOTING_ENGINE = "extractive"
QUOTING = f"{QUOTING_ENGINE}: quotes the sources, no language model"
SERVER_ENGINE = "openai"
KEY_VARIABLE = "LLM_OPENAI_API_KEY"
SECONDS = 5.0
SHOWN_MODELS = 8


@dataclass(frozen=True)
class LlmServer:
    """An OpenAI-compatible server.

    Attributes:
        base_url: with its `/v1`, as OpenAI's clients take it.
        model: name that it knows the model by.
    """

    base_url: str
    model: str

    def environment(self) -> dict[str, str]:
        """Variables of the LLM container that make it forward to this server."""
        key = {"LLM_OPENAI_KEY_FILE": str(_key_file())} if _key_file().exists() else {}
        return {
            "LLM_ENGINE": SERVER_ENGINE,
            "LLM_OPENAI_BASE_URL": self.base_url,
            "LLM_OPENAI_MODEL": self.model,
            **key,
        }


def choose(base_url: str | None, model: str | None) -> LlmServer | None:
    """The LLM of this start: the named one, which is kept for the next starts, or the one that was kept.

    Args:
        base_url: of a server, or `extractive` for the quoting engine; None takes what was kept.
        model: name of a model of the server; None takes its only one.

    Returns:
        None for the quoting engine.

    Raises:
        TwinError: the server does not answer, or has no such model; or a model is named without a server.
    """
    if base_url is None:
        kept = remembered()
        if kept is None and model is not None:
            raise TwinError("A model needs its server: LLM=http://127.0.0.1:11434/v1 MODEL=... (or --llm, --model).")
        if kept is None:
            return None
        base_url, model = kept.base_url, model or kept.model
    if base_url == QUOTING_ENGINE:
        forget()
        return None
    if not base_url.startswith(("http://", "https://")):
        raise TwinError(f"{base_url} is no address of an LLM: use http://HOST:PORT/v1, or {QUOTING_ENGINE}.")
    base_url = base_url.rstrip("/")
    key = os.environ.get(KEY_VARIABLE) or _kept_key(base_url)
    server = LlmServer(base_url, _model(base_url, model, _listed(base_url, key)))
    _keep(server, key)
    return server


def remembered() -> LlmServer | None:
    """The server of an earlier start; None for the quoting engine.

    Raises:
        TwinError: the file is damaged.
    """
    if not _file().exists():
        return None
    try:
        return LlmServer(**json.loads(_file().read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        raise TwinError(
            f"{_file()} is damaged: name the LLM again, or `make local-start LLM={QUOTING_ENGINE}`."
        ) from None


def forget() -> None:
    """Take the quoting engine from now on."""
    _file().unlink(missing_ok=True)
    _key_file().unlink(missing_ok=True)


def model_name(environment: Mapping[str, str]) -> str:
    """Name of the model that a container with this environment answers with."""
    engine = environment.get("LLM_ENGINE", QUOTING_ENGINE)
    return environment.get("LLM_OPENAI_MODEL") or engine if engine == SERVER_ENGINE else engine


def _model(base_url: str, wanted: str | None, listed: list[str] | None) -> str:
    if listed is None:
        if wanted is None:
            raise TwinError(f"{base_url} does not list its models: name one with MODEL=... (or --model).")
        return wanted
    shown = ", ".join(listed[:SHOWN_MODELS]) + (", ..." if len(listed) > SHOWN_MODELS else "")
    if wanted is None:
        if len(listed) != 1:
            raise TwinError(f"{base_url} has {len(listed)} models: name one with MODEL=... ({shown or 'none yet'}).")
        return listed[0]
    if wanted not in listed:
        raise TwinError(f"{base_url} has no model {wanted}: it has {shown or 'none'}.")
    return wanted


def _listed(base_url: str, key: str | None) -> list[str] | None:
    """Names of the server's models; None when it lists none at `/models`, which OpenAI's interface has.

    Raises:
        TwinError: it does not answer, or refuses the key.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        answer = httpx.get(f"{base_url}/models", headers=headers, timeout=SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise TwinError(
            f"No LLM answers at {base_url} ({error or type(error).__name__}): start it, "
            f"or go back to quotes with `make local-start LLM={QUOTING_ENGINE}`."
        ) from None
    if answer.status_code in (401, 403):
        raise TwinError(f"{base_url} refuses without the right key: set {KEY_VARIABLE}.")
    try:
        return [str(each["id"]) for each in answer.json()["data"]] if answer.is_success else None
    except (ValueError, KeyError, TypeError):
        return None


def _kept_key(base_url: str) -> str | None:
    """The key that was kept for this server: no other gets it."""
    kept = remembered()
    known = kept is not None and kept.base_url == base_url and _key_file().exists()
    return _key_file().read_text(encoding="utf-8") if known else None


def _keep(server: LlmServer, key: str | None) -> None:
    _file().parent.mkdir(parents=True, exist_ok=True)
    _file().write_text(json.dumps(asdict(server)), encoding="utf-8")
    _key_file().unlink(missing_ok=True)
    if key:
        _key_file().parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(_key_file(), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(key)


def _file() -> Path:
    return LOCAL / "llm.json"


def _key_file() -> Path:
    return LOCAL / "keys" / "llm-server"
