"""Cutting documents."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

import pytest

from services.rag.ingest.chunk import _NAMESPACE, MAX_CHARS, chunks_of, sections, split_long
from services.rag.ingest.chunk_code import MAX_CHARS as MAX_CODE_CHARS
from services.rag.ingest.chunk_code import split_code
from tests.unit.rag.helpers import document

OWN_CODE = Path(__file__).parents[3] / "services/rag/ingest"


def code_of(piece: str) -> str:
    """What stands in the fence of a piece."""
    found = re.fullmatch(r"## [^\n]+\n\n(`{3,})\w*\n(.*)\n\1", piece, re.DOTALL)
    assert found, piece
    return found.group(2)


def test_headings_in_code_do_not_cut() -> None:
    assert sections("intro\n# One\na\n```sh\n# comment\n```\n## Two\nb") == [
        "intro",
        "# One\na\n```sh\n# comment\n```",
        "## Two\nb",
    ]


def test_long_sections_keep_their_heading_and_whole_code_blocks() -> None:
    code = "```python\n" + "x = 1\n\n" * 60 + "```"
    pieces = split_long(f"## Loader\n{'word ' * 150}\n\n{code}\n\n{'Sentence here. ' * 120}")
    assert all(piece.startswith("## Loader") for piece in pieces)
    assert sum(piece.count("```") for piece in pieces if code in piece) == 2
    assert all(len(piece) <= MAX_CHARS + len("## Loader\n\n") for piece in pieces)


def test_posts_stay_whole_and_small_sections_join() -> None:
    text = "\n".join(f"# H{number}\n" + "word " * 10 for number in range(3))
    options = {"tenant": "default", "model_id": "m"}
    assert len(chunks_of(document(text * 20, "posts"), **options)) == 1
    assert len(chunks_of(document(text), **options)) == 1
    assert len(chunks_of(document(text * 20), **options)) > 1


def test_ids_follow_the_place_and_hashes_the_content() -> None:
    def first(text: str, tenant: str = "a", model_id: str = "m", **changes: str) -> tuple[str, str]:
        chunk = chunks_of(document(text, **changes), tenant=tenant, model_id=model_id)[0]
        return chunk.id, chunk.content_hash

    assert first("x") == first("x")
    assert first("x")[0] == first("y")[0] and first("x")[1] != first("y")[1]
    assert first("x")[0] != first("x", tenant="b")[0]
    assert first("x")[1] != first("x", model_id="n")[1]
    assert first("x")[1] != first("x", date="2026-02-03")[1]


def test_date_and_language_travel_with_each_chunk() -> None:
    code = document("x = 1\n", "repositories", date="2026-02-03", language="python", path="a/b.py")
    (chunk,) = chunks_of(code, tenant="a", model_id="m")
    assert (chunk.date, chunk.language) == ("2026-02-03", "python")
    assert chunk.text == "## a.b\n\n```python\nx = 1\n```"


PYTHON = f'''"""About loading."""

import os

LIMIT = 3


# Why it is cached.
@cache
def load(path: str, *, again: bool = False) -> bytes:
    """Read."""
    return b""


class Small(Base):
    x = 1


class Large(Base[int], Other):
    """Many methods."""

    field: int = 0

    async def one(self) -> None:
        """{"words " * 100}"""

    def two(self, a, *rest): return "{"z" * 300}"
'''


def test_python_is_cut_at_definitions_with_module_and_signature_above() -> None:
    pieces = split_code("src/llm/loader.py", PYTHON, "python")
    headings = [piece.split("\n")[0] for piece in pieces]
    assert headings == [
        "## llm.loader: def load(path: str, *, again: bool=False) -> bytes; class Small(Base)",
        "## llm.loader: class Large(Base[int], Other): async def one(self) -> None",
        "## llm.loader: class Large(Base[int], Other): def two(self, a, *rest)",
    ]
    assert "# Why it is cached.\n@cache\ndef load" in code_of(pieces[0])
    assert "".join(code_of(piece) for piece in pieces).replace("\n", "") == PYTHON.replace("\n", "")


@pytest.mark.parametrize("path", sorted(OWN_CODE.glob("*.py")), ids=lambda path: path.name)
def test_no_line_of_real_code_is_lost_or_cut(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    pieces = split_code(path.name, text, "python")
    lines = [line for piece in pieces for line in code_of(piece).split("\n") if line.strip()]
    assert lines == [line for line in text.split("\n") if line.strip()]
    assert all(len(code_of(piece)) <= MAX_CODE_CHARS for piece in pieces)


def test_code_that_is_not_this_pythons_is_cut_at_blank_lines() -> None:
    pieces = split_code("old.py", "print 'one'\n\n" + "x = 1\n" * 200 + "\nprint 'two'\n", "python")
    assert len(pieces) > 1 and pieces[0].startswith("## old.py: ")


def test_braces_keep_a_block_together() -> None:
    body = "\n\n".join(f"\tcall{number}()" for number in range(40))
    source = f'package main\n\nimport "fmt"\n\n// Serve answers.\nfunc Serve() {{\n{body}\n}}\n\n' + (
        f"func Stop(now bool) {{\n{body}\n}}\n"
    )
    pieces = split_code("cmd/main.go", source, "go")
    # The package line and the import are too little for chunks of their own.
    assert [piece.split("\n")[0] for piece in pieces] == [
        '## cmd/main.go: package main; import "fmt"; func Serve()',
        "## cmd/main.go: func Stop(now bool)",
    ]
    assert code_of(pieces[1]).startswith("func Stop") and code_of(pieces[1]).endswith("}")


def test_a_long_line_is_a_piece_of_its_own_and_a_fence_inside_does_not_end_one() -> None:
    long = "x" * (2 * MAX_CODE_CHARS)
    pieces = split_code("a.yaml", f"a: 1\nb: {long}\nc: |\n  ```\n  code\n  ```\n", "yaml")
    assert f"b: {long}" in [line for piece in pieces for line in code_of(piece).split("\n")]
    assert code_of(pieces[-1]).endswith("```") and pieces[-1].endswith("\n````")


def test_chunks_of_two_tenants_never_share_an_id() -> None:
    def first(tenant: str, id: str) -> str:
        return chunks_of(document("Text.", id=id), tenant=tenant, model_id="m")[0].id

    assert first("a", "b/posts/x") != first("a/b", "posts/x")
    assert len({first("a", "x"), first("a%2F", "x"), first("a/", "x"), first("a", "/x"), first("a%", "2F/x")}) == 5
    # The ids of usual tenants stay as they were: a store need not be filled again.
    assert first("default", "posts/ada/x.md") == str(uuid.uuid5(_NAMESPACE, "default/posts/ada/x.md#0"))
