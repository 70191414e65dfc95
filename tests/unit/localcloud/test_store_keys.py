"""Keys of the local Qdrant: new with each start, readable by their user alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcloud.errors import LocalCloudError
from localcloud.store_keys import make_store_keys, store_keys


def test_each_start_makes_two_new_keys_for_its_user_alone(tmp_path: Path) -> None:
    first = make_store_keys(tmp_path)
    file = tmp_path / ".local" / "qdrant-keys.json"
    file.chmod(0o644)
    second = make_store_keys(tmp_path)
    assert store_keys(tmp_path) == second
    assert file.stat().st_mode & 0o777 == 0o600
    assert len({first.read, first.write, second.read, second.write}) == 4


@pytest.mark.parametrize("content", [None, "", "[]", '{"write": "only"}'])
def test_a_missing_or_damaged_file_is_one_sentence(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / ".local").mkdir()
        (tmp_path / ".local" / "qdrant-keys.json").write_text(content)
    with pytest.raises(LocalCloudError, match=r"make local-stop"):
        store_keys(tmp_path)
