"""A sampled answer: from the queue's message to the dataset's item."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class MalformedSampleError(ValueError):
    """A message is not a sample; the text says which fields are wrong, without their contents."""


class Sample(BaseModel):
    """One answer that the RAG service sampled (contract: "Sample" in docs/architecture.md)."""

    model_config = ConfigDict(frozen=True)

    id: UUID | None = None
    trace_id: UUID
    query: str = Field(min_length=1)
    answer: str
    context: list[str]
    metadata: dict[str, Any]

    @classmethod
    def parse(cls, body: str) -> Sample:
        """Read a message body.

        Raises:
            MalformedSampleError: it is not JSON or not a sample.
        """
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            problems = (
                f"{'.'.join(str(part) for part in problem['loc']) or 'body'}: {problem['msg']}"
                for problem in error.errors(include_input=False, include_url=False)
            )
            raise MalformedSampleError("; ".join(problems)) from None

    def dataset_item(self) -> dict[str, Any]:
        """The dataset item. A redelivered message replaces its own item: its id is the sample's, else the trace's."""
        trace_id = str(self.trace_id)
        return {
            "id": str(self.id or trace_id),
            "input": {"query": self.query},
            "expected_output": {"answer": self.answer, "context": self.context},
            "metadata": {**self.metadata, "trace_id": trace_id},
        }
