"""Translation of filters from the REST models to the engine's."""

from __future__ import annotations

from typing import Any

import qdrant_edge as edge
from qdrant_client.http import models

from localcloud.qdrant.errors import unsupported
from localcloud.qdrant.translate_points import point_id


def edge_filter(given: models.Filter | None) -> edge.Filter | None:
    """The engine's form of a filter; None stays None.

    Raises:
        QdrantError: 400 for a condition that this server does not support, or an invalid point id.
    """
    return None if given is None else required_filter(given)


def required_filter(given: models.Filter) -> edge.Filter:
    """As `edge_filter`, for a request that must have a filter."""
    least = given.min_should
    return edge.Filter(
        must=_conditions(given.must),
        should=_conditions(given.should),
        must_not=_conditions(given.must_not),
        min_should=edge.MinShould([_condition(c) for c in least.conditions], least.min_count) if least else None,
    )


def _conditions(given: Any) -> list[Any] | None:
    if given is None:
        return None
    return [_condition(condition) for condition in (given if isinstance(given, list) else [given])]


def _condition(given: models.Condition) -> Any:
    match given:
        case models.Filter():
            return required_filter(given)
        case models.FieldCondition():
            return _field(given)
        case models.HasIdCondition():
            return edge.HasIdCondition({point_id(value) for value in given.has_id})
        case models.HasVectorCondition():
            return edge.HasVectorCondition(given.has_vector)
        case models.IsEmptyCondition():
            return edge.IsEmptyCondition(given.is_empty.key)
        case models.IsNullCondition():
            return edge.IsNullCondition(given.is_null.key)
        case models.NestedCondition():
            return edge.NestedCondition(given.nested.key, required_filter(given.nested.filter))
        case _:
            raise unsupported(f"The condition {type(given).__name__}")


def _field(given: models.FieldCondition) -> edge.FieldCondition:
    if given.geo_bounding_box or given.geo_radius or given.geo_polygon:
        raise unsupported("A geographical condition")
    count = given.values_count
    return edge.FieldCondition(
        given.key,
        match=None if given.match is None else _match(given.match),
        range=None if given.range is None else _range(given.range),
        values_count=edge.ValuesCount(lt=count.lt, gt=count.gt, lte=count.lte, gte=count.gte) if count else None,
        is_empty=given.is_empty,
        is_null=given.is_null,
    )


def _match(given: models.Match) -> Any:
    match given:
        case models.MatchValue():
            return edge.MatchValue(given.value)
        case models.MatchAny():
            return edge.MatchAny(given.any)
        case models.MatchExcept():
            return edge.MatchExcept(given.except_)
        case models.MatchText():
            return edge.MatchText(given.text)
        case models.MatchTextAny():
            return edge.MatchTextAny(given.text_any)
        case models.MatchPhrase():
            return edge.MatchPhrase(given.phrase)
        case _:
            raise unsupported(f"The match {type(given).__name__}")


def _range(given: models.RangeInterface) -> Any:
    if isinstance(given, models.Range):
        return edge.RangeFloat(gte=given.gte, gt=given.gt, lte=given.lte, lt=given.lt)
    bounds = {name: getattr(given, name) for name in ("gte", "gt", "lte", "lt")}
    return edge.RangeDateTime(**{name: value.isoformat() for name, value in bounds.items() if value is not None})
