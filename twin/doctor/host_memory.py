"""Check that a copy's reservation of host memory can be placed on each instance type of the endpoint.

How much of a machine SageMaker has free for components is not documented. What others saw: of 16 GiB 1,024 MB are
placed and 4,096 MB refused (huggingface/skills, hf-cloud-sagemaker-production-defaults, ml.g5.xlarge); of 32 GiB
4,096 MB are placed (https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-heterogeneous.html,
ml.g6.2xlarge) and 10,000 MB (aws-samples/sagemaker-genai-hosting-examples, Multi-LoRA-Adapters, ml.g5.2xlarge).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from twin.doctor.check import Check, Need
from twin.doctor.context import Context
from twin.doctor.finding import UNCHECKED, Finding, failed, ok, skipped, warning

ROOM = "Host memory for a copy"
GIB_IN_MB = 1024
G4_TO_G6 = {
    "xlarge": 16,
    "2xlarge": 32,
    "4xlarge": 64,
    "8xlarge": 128,
    "12xlarge": 192,
    "16xlarge": 256,
    "24xlarge": 384,
    "48xlarge": 768,
}
HOST_GIB: Mapping[str, Mapping[str, int]] = {
    # GiB by family and size: https://aws.amazon.com/ec2/instance-types/#Accelerated_Computing
    "g4dn": G4_TO_G6,
    "g5": G4_TO_G6,
    "g6": G4_TO_G6,
    "g6e": {size: 2 * gib for size, gib in G4_TO_G6.items()},
    "p3": {"2xlarge": 61, "8xlarge": 244, "16xlarge": 488},
    "p4d": {"24xlarge": 1152},
    "p4de": {"24xlarge": 1152},
    "p5": {"4xlarge": 256, "48xlarge": 2048},
    "p5e": {"48xlarge": 2048},
    "p5en": {"48xlarge": 2048},
}
SMALLEST_GIB = 16
PLACED_ON_SMALLEST_MB = 1024
PLACED_MB = 10_000
"""The largest reservations that were seen to be placed: on the smallest machines, and on those with 32 GiB."""
TAKEN_MB = 12 * GIB_IN_MB
"""What is surely taken: of 16 GiB, 4,096 MB cannot be had."""


def host_mb(instance_type: str) -> int | None:
    """Memory of an instance type like `ml.g6.2xlarge` in MB; None when it is not in the table."""
    parts = re.fullmatch(r"ml\.([a-z0-9-]+)\.([a-z0-9]+)", instance_type)
    gib = HOST_GIB.get(parts[1], {}).get(parts[2]) if parts else None
    return None if gib is None else gib * GIB_IN_MB


def _room(context: Context) -> Iterator[Finding]:
    llm = context.known.llm
    if llm.mode == "real-time":
        yield skipped(ROOM, "skipped: a real-time endpoint reserves none")
        return
    for kind in llm.instance_types:
        yield _on(kind, llm.on(kind).memory_mb)


def _on(kind: str, wanted: int) -> Finding:
    memory = host_mb(kind)
    if memory is None:
        return warning(
            ROOM, f"the memory of {kind} is not known here", UNCHECKED, "compare it with `memory_mb` by hand"
        )
    placed = PLACED_ON_SMALLEST_MB if memory <= SMALLEST_GIB * GIB_IN_MB else PLACED_MB
    seen = f"a copy reserves {wanted} MB of {kind}'s {memory} MB"
    fix = f"`memory_mb = {min(placed, wanted)}` in [llm]: it reserves memory and limits nothing"
    if wanted >= memory - TAKEN_MB:
        why = "SageMaker finds no place for the copy ('not enough hardware resources'), and the stack rolls back"
        return failed(ROOM, seen, why, fix)
    if wanted > placed:
        why = f"no published case has SageMaker place more than {placed} MB there, and it may refuse the copy"
        return warning(ROOM, seen, why, fix)
    return ok(ROOM, seen)


CHECKS = (Check(ROOM, _room, needs=(Need.SETTINGS,)),)
