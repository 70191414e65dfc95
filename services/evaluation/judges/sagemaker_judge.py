"""A judge on a SageMaker endpoint: the stage's own LLM, or another endpoint."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel

from services.evaluation.judges.aws import call_failed, runtime_client
from services.evaluation.judges.base import Completion, Judge, Message
from services.evaluation.judges.chat_completions import read_completion, request_body
from services.evaluation.judges.meter import Meter


class SageMakerJudge(Judge):
    """InvokeEndpoint with a chat completions body, as the vLLM container takes it."""

    def __init__(
        self,
        endpoint_name: str,
        inference_component_name: str | None,
        meter: Meter,
        concurrency: int,
        client: Any = None,
    ) -> None:
        """Keep the names.

        Args:
            endpoint_name: EndpointName, recorded as the judge's model.
            inference_component_name: InferenceComponentName, for endpoints that have them.
            meter: see `Judge`.
            concurrency: see `Judge`.
            client: a `sagemaker-runtime` client; by default one from the process's AWS configuration.
        """
        super().__init__(f"sagemaker/{endpoint_name}", meter, concurrency)
        self._target = {"EndpointName": endpoint_name}
        if inference_component_name:
            self._target["InferenceComponentName"] = inference_component_name
        self._client = client or runtime_client("sagemaker-runtime", concurrency)

    def complete(self, messages: list[Message], shape: type[BaseModel] | None) -> Completion:
        """Ask; see `Judge.complete`."""
        body = json.dumps(request_body(messages, shape))
        try:
            answer = self._client.invoke_endpoint(
                **self._target, Body=body, ContentType="application/json", Accept="application/json"
            )
            raw = answer["Body"].read()
        except (ClientError, BotoCoreError) as error:
            raise call_failed(error, "the judge's endpoint does not answer") from None
        return read_completion(raw)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
