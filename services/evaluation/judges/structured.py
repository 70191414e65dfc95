"""Answers of a given JSON shape: its schema, the check, and the prompt that asks for a repair."""

from __future__ import annotations

import functools
import json
from typing import Any, get_args, get_origin

from opik.evaluation.metrics.llm_judges import parsing_helpers
from opik.exceptions import JSONParsingError
from pydantic import BaseModel, Field, ValidationError, create_model

from services.evaluation.judges.errors import JudgeAnswerMalformed

MAX_SHOWN_PROBLEMS = 5


def check(text: str, shape: type[BaseModel]) -> str:
    """The JSON object of an answer, checked; fences and sentences around it are left out.

    Raises:
        JudgeAnswerMalformed: there is no JSON object in it, or not of that shape; names the fields, not their contents.
    """
    try:
        content = parsing_helpers.extract_json_content_or_raise(text)
    except JSONParsingError:
        raise JudgeAnswerMalformed("the answer holds no JSON object") from None
    try:
        return _with_score_bounds(shape).model_validate(_with_lists(content, shape)).model_dump_json()
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False)[:MAX_SHOWN_PROBLEMS]
        shown = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'answer'}: {item['msg']}" for item in problems)
        raise JudgeAnswerMalformed(shown) from None


def repair_request(problem: JudgeAnswerMalformed, shape: type[BaseModel]) -> str:
    """The message that asks once more after a malformed answer."""
    return (
        f"That answer cannot be read ({problem}). Give the same judgement again as one JSON object, without a fence "
        f"and without any other text, that satisfies this JSON schema: {json.dumps(json_schema(shape))}"
    )


def schema_instruction(shape: type[BaseModel]) -> str:
    """Prompt that gives the schema to a model without guided decoding."""
    return f"Answer with one JSON object and nothing else. Its JSON schema: {json.dumps(json_schema(shape))}"


def json_schema(shape: type[BaseModel]) -> dict[str, Any]:
    """The schema in the form that strict guided decoding takes: no further properties, every property required."""
    return _strict(_with_score_bounds(shape).model_json_schema())


@functools.cache
def _with_score_bounds(shape: type[BaseModel]) -> type[BaseModel]:
    """The shape with a bound that Opik's parsers demand and its models do not declare: every float is in 0..1."""
    bounded: dict[str, Any] = {
        name: (float, Field(ge=0, le=1)) for name, field in shape.model_fields.items() if field.annotation is float
    }
    return create_model(shape.__name__, __base__=shape, **bounded)


def _with_lists(content: Any, shape: type[BaseModel]) -> Any:
    """Turn a single sentence into a list where the shape has a list of sentences, instead of asking again."""
    if not isinstance(content, dict):
        return content
    lists = {
        name
        for name, field in shape.model_fields.items()
        if get_origin(field.annotation) is list and get_args(field.annotation) == (str,)
    }
    return {name: [item] if name in lists and isinstance(item, str) else item for name, item in content.items()}


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    strict = {key: _strict(value) if isinstance(value, dict) else value for key, value in schema.items()}
    if strict.get("type") == "object" and "properties" in strict:
        strict |= {"additionalProperties": False, "required": list(strict["properties"])}
    return strict
