"""Staging of a model in a bucket: which files, which are there already, and the upload of the rest.

A file is downloaded, compared with the hub's checksum, uploaded, compared again and removed from this machine, so that
the disk need hold one file at a time. The list of what was staged, beside the folder of the files, is written last:
where it exists and agrees with the objects, the model is complete and the hub is not asked at all.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twin.model.bucket import Bucket, Stored
from twin.model.download import MB, download
from twin.model.hub import Hub, HubFile
from twin.model.measure import measure
from twin.target.errors import TwinError
from twin.target.progress import Progress

MARGIN_BYTES = 256 * 1024**2
"""Disk that stays free beside the largest file."""
OTHER_FORMATS = (".bin", ".pth", ".pt", ".h5", ".msgpack", ".gguf", ".onnx", ".onnx_data", ".ot", ".tflite", ".mlmodel")
"""The same weights once more, for other programs: https://huggingface.co/docs/hub/models-libraries."""
OTHER_FOLDERS = ("original", "onnx", "openvino", "coreml", "metal")
NOT_THE_MODEL = (".gitattributes", ".gitignore")


@dataclass(frozen=True)
class Place:
    """Where a model goes: `models/<id>/<revision>/` in a bucket, the list of its files beside that folder."""

    model: str
    revision: str
    prefix: str

    @property
    def list_key(self) -> str:
        """Key of the list."""
        return f"{self.prefix.rstrip('/')}.json"


@dataclass(frozen=True)
class Plan:
    """What a run will do.

    Attributes:
        present: files that are in the bucket already, as S3 describes them.
        missing: files to be brought there.
        skipped: files of the hub that no container here reads.
    """

    present: dict[HubFile, Stored]
    missing: tuple[HubFile, ...]
    skipped: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of the whole model."""
        return sum(file.size for file in (*self.present, *self.missing))


def wanted(files: Sequence[HubFile]) -> tuple[HubFile, ...]:
    """The files that serving takes: where there are safetensors, the same weights in other formats are left out.

    Raises:
        TwinError: when there are no weights among them.
    """
    kept = [
        file
        for file in files
        if file.path not in NOT_THE_MODEL and not ("/" in file.path and file.path.split("/")[0] in OTHER_FOLDERS)
    ]
    if any(file.path.endswith(".safetensors") for file in kept):
        return tuple(file for file in kept if not file.path.endswith(OTHER_FORMATS))
    if not any(file.path.endswith(".bin") for file in kept):
        raise TwinError("The model has no weights that vLLM loads: neither *.safetensors nor *.bin.")
    return tuple(kept)


def listed(bucket: Bucket, place: Place) -> dict[HubFile, Stored]:
    """What the list in the bucket says of the objects; empty without a list."""
    entries = (bucket.read_json(place.list_key) or {}).get("files", ())
    return {
        HubFile(entry["path"], entry["size"], entry["digest"]): Stored(
            entry["size"], entry["digest"], entry["checksum"]
        )
        for entry in entries
    }


def disagreeing(bucket: Bucket, place: Place, files: dict[HubFile, Stored]) -> list[str]:
    """Paths of listed files whose objects are missing or hold something else."""
    return [file.path for file, stored in files.items() if bucket.describe(f"{place.prefix}{file.path}") != stored]


def plan(bucket: Bucket, place: Place, hub: Hub, *, is_new: bool) -> Plan:
    """What there is to do; `is_new` spares asking a bucket that does not exist yet.

    Raises:
        HubError: when the hub does not give the list of files.
        TwinError: when the model has no weights.
    """
    known = {} if is_new else listed(bucket, place)
    wrong = disagreeing(bucket, place, known)
    if known and not wrong:
        return Plan(known, (), ())
    on_hub = hub.files(place.model, place.revision)
    files = wanted(on_hub)
    present = {}
    for file in () if is_new else files:
        stored = bucket.describe(f"{place.prefix}{file.path}")
        if stored is not None and file.path not in wrong and _same(file, stored):
            present[file] = stored
    missing = tuple(file for file in files if file not in present)
    return Plan(present, missing, tuple(file.path for file in on_hub if file not in files))


def stage(bucket: Bucket, place: Place, hub: Hub, planned: Plan, scratch: Path, progress: Progress) -> None:
    """Bring what is missing into the bucket, then write the list.

    Raises:
        TwinError: when the disk is too small, a download breaks off for good, or a checksum disagrees.
        HubError: when the hub refuses a file.
    """
    _room(planned.missing, scratch)
    done = dict(planned.present)
    for number, file in enumerate(planned.missing, 1):
        progress(f"{number}/{len(planned.missing)} {file.path} ({file.size / MB:.1f} MB)")
        local = scratch / file.path
        download(hub, place.model, place.revision, file, local, progress)
        measured = measure(local, file, bucket.part_bytes)
        if measured.digest != file.digest:
            local.unlink()
            raise TwinError(
                f"{file.path} is not what the hub lists ({measured.digest} instead of {file.digest}) and was removed: "
                "run the command again; if it stays so, a proxy or mirror changes files."
            )
        done[file] = bucket.put(f"{place.prefix}{file.path}", file, local, measured, progress)
        local.unlink()
    bucket.write_json(place.list_key, _list(place, done))
    shutil.rmtree(scratch, ignore_errors=True)


def _same(file: HubFile, stored: Stored) -> bool:
    return bool(stored.checksum) and (stored.size, stored.digest) == (file.size, file.digest)


def _list(place: Place, done: dict[HubFile, Stored]) -> dict[str, Any]:
    files = sorted(done.items(), key=lambda item: item[0].path)
    return {
        "model": place.model,
        "revision": place.revision,
        "files": [
            {"path": file.path, "size": file.size, "digest": file.digest, "checksum": stored.checksum}
            for file, stored in files
        ],
    }


def _room(missing: Sequence[HubFile], scratch: Path) -> None:
    scratch.mkdir(parents=True, exist_ok=True)
    needed = max((file.size - _size(scratch / file.path) for file in missing), default=0)
    free = shutil.disk_usage(scratch).free
    if needed and free < needed + MARGIN_BYTES:
        raise TwinError(
            f"{scratch} has {free // MB} MB free, and the largest file still needs {needed // MB} MB and "
            f"{MARGIN_BYTES // MB} MB of room: free some, or name another disk with --scratch."
        )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
