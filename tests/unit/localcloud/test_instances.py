"""The local cloud places components on the machines that the preflight knows."""

from __future__ import annotations

import pytest

from localcloud.emulator.rules.instances import MACHINES, Machine
from twin.doctor.fit import GPUS
from twin.doctor.host_memory import HOST_GIB


@pytest.mark.parametrize(("kind", "machine"), MACHINES.items(), ids=MACHINES)
def test_both_know_the_same_memory_and_gpus(kind: str, machine: Machine) -> None:
    _, family, size = kind.split(".")
    assert machine == Machine(gib=HOST_GIB[family][size], gpus=GPUS[family][1].get(size, 1))
