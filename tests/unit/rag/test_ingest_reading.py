"""Reading and cutting documents."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.rag.ingest.chunk import MAX_CHARS, chunk_document, sections, split_long
from services.rag.ingest.reader import IngestError, clean, read_corpus, split_front_matter
from tests.unit.rag.helpers import document


def test_front_matter_is_read_and_a_rule_is_not_front_matter() -> None:
    fields, body = split_front_matter('---\ntitle: "A: b"\nauthor: Ada\n---\ntext')
    assert fields == {"title": "A: b", "author": "Ada"} and body == "text"
    assert split_front_matter("---\nnever closed") == ({}, "---\nnever closed")


def test_cleaning() -> None:
    assert clean("\ufeffa\r\nb  \n\n\n\nc<!-- hidden\n -->\x07") == "a\nb\n\nc"


def test_corpus_tells_what_it_skipped_and_why(tmp_path: Path) -> None:
    for name, content in {
        "posts/ada/one.md": b"# One\ntext",
        "posts/ada/empty.md": b"---\ntitle: x\n---\n\n",
        "posts/ada/image.png": b"\x89PNG",
        "posts/ada/latin.md": b"caf\xe9",
        "posts/stray.md": b"text",
        "posts/ada/.hidden": b"text",
        "other/ada/x.md": b"text",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "posts/ada/link.md").symlink_to(tmp_path / "other/ada/x.md")
    corpus = read_corpus(tmp_path)
    assert [(found.id, found.title, found.author) for found in corpus.documents] == [("posts/ada/one.md", "One", "ada")]
    assert {skipped.id: skipped.reason for skipped in corpus.skipped} == {
        "posts/ada/empty.md": "empty",
        "posts/ada/image.png": "not a Markdown file",
        "posts/ada/latin.md": "not UTF-8 text",
        "posts/stray.md": "not in a folder of an author",
    }
    assert corpus.collections == ["posts"]


def test_a_wrong_path_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(IngestError, match="is not a folder"):
        read_corpus(tmp_path / "missing")
    with pytest.raises(IngestError, match="none of the folders"):
        read_corpus(tmp_path)


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
    assert len(chunk_document(document(text * 20, "posts"), **options)) == 1
    assert len(chunk_document(document(text), **options)) == 1
    assert len(chunk_document(document(text * 20), **options)) > 1


def test_ids_follow_the_place_and_hashes_the_content() -> None:
    def first(text: str, tenant: str = "a", model_id: str = "m") -> tuple[str, str]:
        chunk = chunk_document(document(text), tenant=tenant, model_id=model_id)[0]
        return chunk.id, chunk.content_hash

    assert first("x") == first("x")
    assert first("x")[0] == first("y")[0] and first("x")[1] != first("y")[1]
    assert first("x")[0] != first("x", tenant="b")[0]
    assert first("x")[1] != first("x", model_id="n")[1]
