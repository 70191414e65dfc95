"""The file of a vector backup: checked line by line, because it may come from anywhere."""

from __future__ import annotations

import gzip
import hashlib
import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError, model_validator

from services.vectors.export import FORMAT, VERSION
from twin.target.errors import TwinError

MAX_HEADER_BYTES = 64 * 1024
MAX_LINE_BYTES = 4 * 1024**2
"""Of one point with its vectors and its payload, once it is decompressed."""
LARGEST = 3.4e38
"""Vectors are 32-bit numbers."""

Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST, allow_inf_nan=False)]
Name = Annotated[str, Field(max_length=255)]


class _SparseVector(BaseModel):
    indices: list[Annotated[int, Field(ge=0, lt=2**32)]]
    values: list[Number]

    @model_validator(mode="after")
    def _as_many_values(self) -> _SparseVector:
        if len(self.indices) != len(self.values):
            raise ValueError("has another number of values than of indices")
        return self


_Vector = list[Number] | list[list[Number]] | _SparseVector


class _Point(BaseModel):
    id: Annotated[int, Field(ge=0, lt=2**64)] | Annotated[str, Field(max_length=64)]
    vector: list[Number] | list[list[Number]] | dict[Name, _Vector]
    payload: dict[str, Any] | None


class _VectorParams(BaseModel):
    size: Annotated[int, Field(ge=1, le=65_536)]
    distance: Name


class _Collection(BaseModel):
    name: Annotated[str, Field(min_length=1, max_length=255)]
    vectors: _VectorParams | dict[Name, _VectorParams]
    sparse_vectors: dict[Name, Any]
    metadata: dict[str, Any]
    indexes: dict[str, Any]


class _Line(BaseModel):
    """A line after the header: a collection, one of its points, or the end with the number of points by collection."""

    collection: _Collection | None = None
    point: _Point | None = None
    end: dict[Name, int] | None = None


@dataclass
class BackupCollection:
    """One collection of a backup.

    Attributes:
        configuration: vectors, sparse vectors, metadata and indexes, as `export.configuration` has them.
        points: `fingerprint` by id, the id in JSON.
    """

    configuration: Mapping[str, Any]
    points: dict[str, bytes] = field(default_factory=dict)


def read(file: Path) -> dict[str, BackupCollection]:
    """Check a backup from its header to its end.

    Raises:
        TwinError: the file is no backup, of another version, cut off, damaged, or does not agree with itself.
    """
    held: dict[str, BackupCollection] = {}
    name, ended = "", False
    for line in lines(file):
        if "collection" in line:
            name = line["collection"]["name"]
            held[name] = BackupCollection(line["collection"])
        elif "point" in line:
            if name not in held:
                raise TwinError(f"{file} does not agree with itself: a point comes before its collection.")
            _check_dimensions(file, name, held[name].configuration, line["point"])
            held[name].points[json.dumps(line["point"]["id"])] = fingerprint(line["point"])
        elif "end" in line:
            ended = line["end"] == {each: len(collection.points) for each, collection in held.items()}
    if not ended:
        raise TwinError(f"{file} is cut off or damaged: its end is missing or counts other points.")
    return held


def lines(file: Path) -> Iterator[dict[str, Any]]:
    """Every line after the header, each checked: `{"collection": …}`, `{"point": …}` or `{"end": …}`.

    Raises:
        TwinError: the file is no backup, of another version, cut off or damaged.
    """
    try:
        with gzip.open(file, "rb") as packed:
            header = json.loads(packed.readline(MAX_HEADER_BYTES) or b"null")
            if not isinstance(header, dict) or header.get("format") != FORMAT:
                raise TwinError(f"{file} is no backup of vectors.")
            if header.get("version") != VERSION:
                raise TwinError(f"{file} is a backup of version {header.get('version')}; this release reads {VERSION}.")
            number = 1
            while text := packed.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(text) > MAX_LINE_BYTES:
                    raise TwinError(f"{file} is damaged: line {number} is longer than {MAX_LINE_BYTES} bytes.")
                yield _checked(text)
    except gzip.BadGzipFile:
        raise TwinError(f"{file} is no backup of vectors, or it is damaged.") from None
    except (EOFError, zlib.error, ValueError, RecursionError) as error:
        raise TwinError(f"{file} is cut off or damaged ({type(error).__name__}).") from None


def fingerprint(point: Mapping[str, Any]) -> bytes:
    """The same for points with the same vectors, as the store's 32-bit numbers, and the same payload."""
    digest = hashlib.blake2b(digest_size=16)
    vectors = _named_vectors(point)
    for name in sorted(vectors):
        digest.update(name.encode() + b"\0")
        for number in _numbers(vectors[name]):
            digest.update(number)
    digest.update(json.dumps(point.get("payload") or {}, sort_keys=True).encode())
    return digest.digest()


def vector_sizes(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Size and distance of each dense vector by name; the one without a name is the empty one."""
    vectors = configuration["vectors"]
    named = {"": vectors} if "size" in vectors else vectors
    return {name: (params["size"], params["distance"]) for name, params in named.items()}


def _checked(text: bytes) -> dict[str, Any]:
    """A line as it is written.

    Raises:
        ValueError: it is no line of a backup.
    """
    line = json.loads(text)
    try:
        _Line.model_validate(line)
    except ValidationError:
        raise ValueError("not a line of a backup") from None
    found: dict[str, Any] = line
    return found


def _named_vectors(point: Mapping[str, Any]) -> Mapping[str, Any]:
    """Vectors by name. A sparse vector has a name always, so that a mapping is one of names."""
    return point["vector"] if isinstance(point["vector"], dict) else {"": point["vector"]}


def _numbers(vector: Any) -> Iterator[bytes]:
    if isinstance(vector, dict):
        for index, value in sorted(zip(vector["indices"], vector["values"], strict=True)):
            yield struct.pack("<If", index, value)
    elif vector and isinstance(vector[0], list):
        for row in vector:
            yield from _numbers(row)
    else:
        yield struct.pack(f"<{len(vector)}f", *vector)


def _check_dimensions(file: Path, name: str, configuration: Mapping[str, Any], point: Mapping[str, Any]) -> None:
    sizes = vector_sizes(configuration)
    for vector, values in _named_vectors(point).items():
        if vector in sizes and isinstance(values, list) and values and not isinstance(values[0], list):
            size = sizes[vector][0]
            if len(values) != size:
                raise TwinError(
                    f"{file} does not agree with itself: point {point['id']} of {name} has {len(values)} dimensions, "
                    f"its collection {size}. Nothing was changed."
                )
