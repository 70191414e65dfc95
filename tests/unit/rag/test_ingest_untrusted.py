"""Folders and repositories of strangers: nothing outside of them is read, and nothing in them starts a program."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from services.rag.ingest.documents import IngestError
from services.rag.ingest.git import Repository, describe
from services.rag.ingest.isolated import Isolated
from services.rag.ingest.limits import LIMITS
from services.rag.ingest.reader import Given
from services.rag.ingest.walk import MAX_RULES_BYTES, ignored, walk
from tests.unit.rag.helpers import ISOLATED, read_path, read_repository

SIGNED_COMMIT = """tree {tree}
author Ada <ada@example.com> 1700000000 +0000
committer Ada <ada@example.com> 1700000000 +0000
gpgsig -----BEGIN PGP SIGNATURE-----
 none
 -----END PGP SIGNATURE-----

Signed
"""


def git(at: Path, *arguments: str, text: str | None = None) -> str:
    done = subprocess.run(
        ["git", "-C", str(at), "-c", "user.name=Ada", "-c", "user.email=ada@example.com", *arguments],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "tool"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch", "main")
    (root / "docs").mkdir()
    (root / "docs" / "notes.md").write_text("# Notes\n\nNotes of the tool.\n")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "First")
    return root


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program that a repository's configuration may name; it leaves `ran` behind."""
    path = tmp_path / "program"
    path.write_text(f'#!/bin/sh\ntouch "{tmp_path / "ran"}"\nexit 1\n')
    path.chmod(0o755)
    return path


def test_no_program_checks_signatures_while_a_repository_is_read(repository: Path, program: Path) -> None:
    tree = git(repository, "rev-parse", "HEAD^{tree}")
    commit = git(repository, "hash-object", "-t", "commit", "-w", "--stdin", text=SIGNED_COMMIT.format(tree=tree))
    git(repository, "update-ref", "HEAD", commit)
    git(repository, "config", "log.showSignature", "true")
    git(repository, "config", "gpg.program", str(program))
    assert describe(repository).author == "Ada"
    assert not (program.parent / "ran").exists()


def test_no_program_fetches_what_is_missing_while_a_repository_is_read(repository: Path, program: Path) -> None:
    (repository / "docs" / "notes.md").write_text("# Notes\n\nOther notes.\n")
    git(repository, "commit", "--quiet", "--all", "--message", "Second")
    tree = git(repository, "rev-parse", "HEAD~1^{tree}")
    (repository / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    for name, value in {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": str(repository.parent / "elsewhere"),
        "remote.origin.uploadpack": str(program),
    }.items():
        git(repository, "config", name, value)
    found = describe(repository)
    assert found.files == ["docs/notes.md"] and found.author == "Ada"
    assert not (program.parent / "ran").exists()


def test_no_pager_and_no_monitor_run_while_a_repository_is_read(repository: Path, program: Path) -> None:
    for name in ("core.pager", "pager.log", "core.fsmonitor", "diff.external", "core.sshCommand", "credential.helper"):
        git(repository, "config", name, str(program))
    assert describe(repository).files == ["docs/notes.md"]
    assert not (program.parent / "ran").exists()


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "private"
    folder.mkdir()
    (folder / "notes.md").write_text("# Private\n\nNot to be read.\n")
    return folder


def test_a_linked_folder_of_a_repository_is_not_followed(repository: Path, outside: Path) -> None:
    (repository / "docs" / "notes.md").unlink()
    (repository / "docs").rmdir()
    (repository / "docs").symlink_to(outside)
    assert read_repository(describe(repository), Given(author="ada")).documents == []


@pytest.mark.parametrize("name", ["../private/notes.md", "docs/../../private/notes.md", "{outside}/notes.md", ""])
def test_a_listed_path_that_leads_out_of_the_repository_is_not_read(repository: Path, outside: Path, name: str) -> None:
    listed = Repository(repository, "", "tool", "Ada", [name.format(outside=outside), "docs/notes.md"])
    found = read_repository(listed, Given())
    assert [document.text.splitlines()[0] for document in found.documents] == ["# Notes"]


def test_a_linked_collection_is_named_and_not_followed(tmp_path: Path, outside: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "articles" / "ben").mkdir(parents=True)
    (tree / "articles" / "ben" / "a.md").write_text("# Mine\n\nText.\n")
    (outside / "ada").mkdir()
    (outside / "ada" / "p.md").write_text("# Private\n\nText.\n")
    (tree / "posts").symlink_to(outside)
    found = read_path(tree, Given())
    assert [document.id for document in found.documents] == ["articles/ben/a.md"]
    assert [(skipped.id, skipped.reason) for skipped in found.skipped] == [("posts/", "a link")]
    assert "posts" not in found.scope


def test_a_linked_folder_of_an_author_is_not_followed_and_their_documents_stay(tmp_path: Path, outside: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "posts" / "ben").mkdir(parents=True)
    (tree / "posts" / "ben" / "p.md").write_text("# Mine\n\nText.\n")
    (tree / "posts" / "ada").symlink_to(outside)
    found = read_path(tree, Given())
    assert [document.id for document in found.documents] == ["posts/ben/p.md"]
    # What the ingest owns is replaced: an author that it did not read must not be among it.
    assert found.scope["posts"] == ("posts/ben",)


def test_a_folder_that_is_itself_given_by_a_link_is_read(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "posts" / "ben").mkdir(parents=True)
    (tree / "posts" / "ben" / "p.md").write_text("# Mine\n\nText.\n")
    (tmp_path / "link").symlink_to(tree)
    assert [document.id for document in read_path(tmp_path / "link", Given()).documents] == ["posts/ben/p.md"]


ESCAPE = "\x1b[31m"
NOT_OF_THE_WEB = ("javascript:alert(1)", "data:text/html,x", "file:///etc/hosts", " java\tscript:x", "//x")


@pytest.mark.parametrize("address", NOT_OF_THE_WEB)
def test_fields_of_a_document_are_plain_text_and_addresses_lead_to_the_web(tmp_path: Path, address: str) -> None:
    folder = tmp_path / "tree" / "posts" / "ada"
    folder.mkdir(parents=True)
    (folder / "a.md").write_text(f"---\ntitle: {ESCAPE}Kettles\nauthor: A\x07da\nurl: {address}\n---\nText.\n")
    head = f'<title>{ESCAPE}Tea</title><link rel="canonical" href="{address}">'
    (folder / "b.html").write_text(f"{head}<main>Leaves.</main>")
    line = {"id": "c", "type": "posts", "author": f"A{ESCAPE}da", "title": "Cups\x08", "url": address, "text": "Tea."}
    (tmp_path / "lines.jsonl").write_text(json.dumps(line))
    documents = [
        document
        for path in (tmp_path / "tree", tmp_path / "lines.jsonl")
        for document in read_path(path, Given()).documents
    ]
    assert [document.title for document in documents] == ["[31mKettles", "[31mTea", "Cups"]
    assert [document.author for document in documents] == ["Ada", "ada", "A[31mda"]
    assert {document.url for document in documents} == {""}


def test_a_web_address_stays(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("---\nurl: HTTPS://ada.example/kettles?a=1\n---\nText.\n")
    (document,) = read_path(tmp_path / "a.md", Given("posts", "ada")).documents
    assert document.url == "HTTPS://ada.example/kettles?a=1"


@pytest.mark.parametrize("line", ["!", "\\", "notes.m\\", "[z-a].md", "[[a]--b].md"])
def test_a_line_that_is_no_pattern_is_passed_over_as_by_git(tmp_path: Path, line: str) -> None:
    git(tmp_path, "init", "--quiet")
    names = ["drafts.md", "notes.md"]
    for name in names:
        (tmp_path / name).write_text("text")
    (tmp_path / ".gitignore").write_text(f"{line}\ndrafts.md\n")
    by_git = git(tmp_path, "ls-files", "--others", "--exclude-standard").splitlines()
    assert ignored(names, (("", (line, "drafts.md")),)) == set(names) - set(by_git) == {"drafts.md"}
    assert [name for name in walk(tmp_path, ISOLATED) if isinstance(name, str)] == ["notes.md"]


def test_rules_that_take_too_long_end_the_ingest_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / ".gitignore").write_text("*.tmp\n")
    (tmp_path / "sub" / "a.md").write_text("text")
    with Isolated(replace(LIMITS, seconds=1e-9)) as isolated, pytest.raises(IngestError) as refused:
        list(walk(tmp_path, isolated))
    assert str(refused.value) == (
        "The rules of sub/.gitignore cannot be used (took longer than 1e-09 s): write them in simpler patterns."
    )


def test_rules_without_end_are_not_read(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("#" * (MAX_RULES_BYTES + 1))
    with pytest.raises(IngestError, match="is larger than 1048576 bytes"):
        list(walk(tmp_path, ISOLATED))
