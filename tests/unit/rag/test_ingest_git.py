"""Addresses of repositories."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.rag.ingest.git import Repository, folder_name, is_git_url, web_address, without_credentials
from services.rag.ingest.write import batches


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("git@github.com:ada/kettle.git", "https://github.com/ada/kettle"),
        ("ssh://git@git.example:2222/ada/kettle.git", "https://git.example/ada/kettle"),
        # pragma: allowlist nextline secret - made up; the code under test removes it
        ("https://ada:secret@git.example:8443/ada/kettle", "https://git.example:8443/ada/kettle"),
        ("file:///srv/kettle", ""),
        ("/srv/kettle", ""),
        ("", ""),
    ],
)
def test_a_remote_as_a_web_address_without_credentials(remote: str, address: str) -> None:
    assert web_address(remote) == address


def test_files_have_an_address_where_the_hosts_pattern_is_known() -> None:
    on_github = Repository(Path("x"), "https://github.com/ada/kettle", "github.com/ada/kettle")
    assert on_github.url("src/a b.py") == "https://github.com/ada/kettle/blob/HEAD/src/a%20b.py"
    elsewhere = Repository(Path("x"), "https://git.example/ada/kettle", "git.example/ada/kettle")
    assert elsewhere.url("src/a.py") == "https://git.example/ada/kettle"


def test_paths_are_told_from_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_git_url("https://git.example/ada/kettle") and is_git_url("git@git.example:ada/kettle.git")
    assert not is_git_url("docs/notes") and not is_git_url("C:/notes")
    (tmp_path / "week:one").mkdir()
    monkeypatch.chdir(tmp_path)
    assert not is_git_url("week:one")


def test_names_and_messages() -> None:
    assert folder_name("git@git.example:ada/kettle.git") == folder_name("https://git.example/ada/kettle/") == "kettle"
    # pragma: allowlist nextline secret - made up; the code under test removes it
    assert without_credentials("https://ada:secret@git.example/x") == "https://git.example/x"


def test_batches_hold_everything_once() -> None:
    assert list(batches(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(batches([], 2)) == []
