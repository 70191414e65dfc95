"""A judge on Amazon Bedrock through Converse, whose requests are the same for every model."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel

from services.evaluation.judges.aws import call_failed, runtime_client
from services.evaluation.judges.base import MAX_ANSWER_TOKENS, Completion, Judge, Message
from services.evaluation.judges.errors import JudgeCallFailed
from services.evaluation.judges.meter import Meter
from services.evaluation.judges.structured import schema_instruction


class BedrockJudge(Judge):
    """Converse; not every model on Bedrock decodes along a schema, so the schema is part of the prompt."""

    def __init__(self, model_id: str, meter: Meter, concurrency: int, client: Any = None) -> None:
        """Keep the id.

        Args:
            model_id: model or inference profile, for example `eu.amazon.nova-lite-v1:0`.
            meter: see `Judge`.
            concurrency: see `Judge`.
            client: a `bedrock-runtime` client; by default one from the process's AWS configuration.
        """
        super().__init__(model_id, meter, concurrency)
        self._client = client or runtime_client("bedrock-runtime", concurrency)

    def complete(self, messages: list[Message], shape: type[BaseModel] | None) -> Completion:
        """Ask; see `Judge.complete`."""
        system = [message["content"] for message in messages if message["role"] == "system"]
        if shape is not None:
            system.append(schema_instruction(shape))
        try:
            answer = self._client.converse(
                modelId=self.model_name,
                messages=_turns(messages),
                inferenceConfig={"maxTokens": MAX_ANSWER_TOKENS, "temperature": 0.0},
                **({"system": [{"text": text} for text in system]} if system else {}),
            )
        except (ClientError, BotoCoreError) as error:
            raise call_failed(error, "Bedrock does not answer") from None
        return _read(answer)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _turns(messages: list[Message]) -> list[dict[str, Any]]:
    """Messages without the system's; Converse wants roles in turn, so neighbours of one role are joined."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        if message["role"] == "system":
            continue
        part = {"text": message["content"]}
        if turns and turns[-1]["role"] == message["role"]:
            turns[-1]["content"].append(part)
        else:
            turns.append({"role": message["role"], "content": [part]})
    return turns


def _read(answer: dict[str, Any]) -> Completion:
    try:
        parts = answer["output"]["message"]["content"]
        usage = answer.get("usage") or {}
        text = "".join(part.get("text", "") for part in parts)
        return Completion(text, usage.get("inputTokens"), usage.get("outputTokens"))
    except (KeyError, TypeError, AttributeError):
        raise JudgeCallFailed("Bedrock's response holds no message") from None
