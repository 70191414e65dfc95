"""Choice of free ports."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from localcloud import ports

ROOM = 1_000


@pytest.fixture
def range_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "ip_local_port_range"
    file.write_text(f"{ports.FIRST_PORT + ROOM}\t60999\n")
    monkeypatch.setattr(ports, "EPHEMERAL_RANGE", file)
    return file


def test_ports_differ_and_no_outgoing_connection_gets_them(range_of_the_system: Path) -> None:
    found = ports.free_ports(50)
    assert len(set(found)) == 50
    assert all(ports.FIRST_PORT <= port < ports.FIRST_PORT + ROOM for port in found)


def test_a_taken_port_is_left_out(range_of_the_system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind((ports.LOOPBACK, ports.free_port()))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr("random.sample", lambda *_: [port, port + 1])
        assert ports.free_port() != port


@pytest.mark.parametrize("content", ["1024 60999", "", "none"])
def test_without_room_or_a_range_any_free_port_is_taken(range_of_the_system: Path, content: str) -> None:
    range_of_the_system.write_text(content)
    assert ports.free_port() > 0
