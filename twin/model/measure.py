"""Checksums of a local file: the hub's, and those that S3 keeps of an upload in parts.

S3's checksum of an object that was uploaded in parts is the SHA-256 of the parts' SHA-256 one after the other, in
base64, with a dash and the number of parts: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

from twin.model.hub import HubFile

PART_BYTES = 64 * 1024**2
"""Size of a part: with S3's limit of 10,000 parts, files of 625 GiB; a part that is cut off is sent again."""
READ_BYTES = 1024**2


@dataclass(frozen=True)
class Measured:
    """A file that was read once from its beginning to its end.

    Attributes:
        digest: as the hub's list gives it.
        parts: SHA-256 of each part; one for a file that is not larger than a part.
    """

    size: int
    digest: str
    parts: tuple[bytes, ...]

    @property
    def checksum(self) -> str:
        """ChecksumSHA256 as S3 answers it for the whole object."""
        if len(self.parts) == 1:
            return base64.b64encode(self.parts[0]).decode()
        return f"{base64.b64encode(hashlib.sha256(b''.join(self.parts)).digest()).decode()}-{len(self.parts)}"


def measure(path: Path, file: HubFile, part_bytes: int = PART_BYTES) -> Measured:
    """Read a file; its digest is of the kind that the hub has of it."""
    size = path.stat().st_size
    kind = file.digest.partition(":")[0]
    # Git's own name for the content, not a protection against forgery.
    whole = hashlib.sha256() if kind == "sha256" else hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    parts: list[bytes] = []
    with path.open("rb") as stream:
        while not parts or stream.tell() < size:
            part, left = hashlib.sha256(), part_bytes
            while left and (piece := stream.read(min(READ_BYTES, left))):
                whole.update(piece)
                part.update(piece)
                left -= len(piece)
            parts.append(part.digest())
    return Measured(size, f"{kind}:{whole.hexdigest()}", tuple(parts))
