"""The state file."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcloud.errors import LocalCloudError
from localcloud.process import restart_delay
from localcloud.state import ProcessState, State, read_state, state_path, write_state


def test_what_is_written_is_read(tmp_path: Path) -> None:
    state = State(7, {"aws": 4566}, True, (ProcessState("api-0", "ecs", "ECS service api", 8, 9, "healthy"),))
    write_state(tmp_path, state)
    assert read_state(tmp_path) == state


def test_no_file_is_no_state(tmp_path: Path) -> None:
    assert read_state(tmp_path) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 1}', '{"version": 0}'])
def test_a_corrupt_file_is_a_sentence(tmp_path: Path, content: str) -> None:
    state_path(tmp_path).parent.mkdir(parents=True)
    state_path(tmp_path).write_text(content)
    with pytest.raises(LocalCloudError, match="make local-stop"):
        read_state(tmp_path)


def test_restarts_back_off_up_to_a_limit() -> None:
    assert [restart_delay(crashes) for crashes in (0, 1, 2, 3)] == [0, 0.5, 1, 2]
    assert restart_delay(50) == 30
