"""Host memory and GPUs of SageMaker's instance types: https://aws.amazon.com/ec2/instance-types/."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Machine:
    """An instance type.

    Attributes:
        gib: memory of the host.
        gpus: how many it has.
    """

    gib: int
    gpus: int


_G4_TO_G6 = {
    "xlarge": Machine(16, 1),
    "2xlarge": Machine(32, 1),
    "4xlarge": Machine(64, 1),
    "8xlarge": Machine(128, 1),
    "12xlarge": Machine(192, 4),
    "16xlarge": Machine(256, 1),
}
_G5_TO_G6 = {**_G4_TO_G6, "24xlarge": Machine(384, 4), "48xlarge": Machine(768, 8)}
_FAMILIES = {
    "g4dn": _G4_TO_G6,
    "g5": _G5_TO_G6,
    "g6": _G5_TO_G6,
    "g6e": {size: Machine(2 * machine.gib, machine.gpus) for size, machine in _G5_TO_G6.items()},
    "p3": {"2xlarge": Machine(61, 1), "8xlarge": Machine(244, 4), "16xlarge": Machine(488, 8)},
    "p4d": {"24xlarge": Machine(1152, 8)},
    "p4de": {"24xlarge": Machine(1152, 8)},
    "p5": {"4xlarge": Machine(256, 1), "48xlarge": Machine(2048, 8)},
    "p5e": {"48xlarge": Machine(2048, 8)},
    "p5en": {"48xlarge": Machine(2048, 8)},
}
MACHINES = {f"ml.{family}.{size}": machine for family, sizes in _FAMILIES.items() for size, machine in sizes.items()}
"""By instance type; what is not in it is not judged."""
