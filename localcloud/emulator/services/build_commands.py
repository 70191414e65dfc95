"""The commands of an image's build, as far as they can be followed without a Docker engine.

Nothing of a command is run. What it would need is looked for: the files that a Dockerfile copies, the variables, and
the calls of AWS that it makes, which are made with the build's own role.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)(?P<cut>%%/\*)?\}|(?P<plain>\w+))")
REGISTRY = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.[a-z.]+/(?P<name>[^:]+):(?P<tag>[\w.-]+)"
)
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
SOURCE_DIGEST = "localcloud.source.sha256"
"""Annotation of a pushed manifest: the digest of the source archive that stands for the image's content."""


class CommandError(Exception):
    """A command would have failed; the message is the line that it would have printed."""


@dataclass
class Commands:
    """Follows the commands of one build.

    Attributes:
        files: names in the source.
        read: the text of a file of the source.
        digest: SHA-256 of the source archive.
        call: calls an operation of AWS with the build's role: service, operation, parameters.
        log: takes each line of output.
        variables: of the build's environment.
        built: tags that were built, with the Dockerfile's.
    """

    files: Collection[str]
    read: Callable[[str], str]
    digest: str
    call: Callable[[str, str, dict[str, Any]], dict[str, Any]]
    log: Callable[[str], None]
    variables: dict[str, str]
    built: set[str] = field(default_factory=set)
    logged_in: bool = False

    def run(self, command: str) -> None:
        """Follow one command.

        Raises:
            CommandError: it would have failed, or is one that is not known here.
        """
        self.log(f"[Container] Running command {command}")
        words = shlex.split(expanded(command, self.variables))
        if words[:1] == ["test"]:
            _test(words[1:])
        elif words[:3] == ["aws", "ecr", "get-login-password"] and "login" in words:
            self.call("ecr", "get_authorization_token", {})
            self.logged_in = True
            self.log("Login Succeeded")
        elif words[:3] == ["docker", "manifest", "inspect"]:
            self.log("(the local cloud asks no registry outside)")
        elif words[:2] == ["docker", "build"]:
            self._build(words[2:])
        elif words[:2] == ["docker", "push"]:
            self._push(words[-1])
        else:
            raise CommandError(f"{words[0] if words else command}: not known to the local cloud's CodeBuild")

    def _build(self, words: list[str]) -> None:
        given = dict(_options(words))
        dockerfile, tag = given.get("--file", "Dockerfile"), given.get("--tag", "")
        if dockerfile not in self.files:
            raise CommandError(f"ERROR: failed to read dockerfile: open {dockerfile}: no such file or directory")
        sources = list(copied(self.read(dockerfile)))
        for number, source in enumerate(sources, 1):
            self.log(f"#{number} COPY {source}")
            if not _is_there(source, self.files):
                raise CommandError(f'ERROR: failed to calculate checksum of ref: "/{source}": not found')
        self.built.add(tag)
        self.log(f"naming to {tag} done")

    def _push(self, tag: str) -> None:
        named = REGISTRY.fullmatch(tag)
        if named is None:
            raise CommandError(f"{tag} is no image of ECR")
        if tag not in self.built:
            raise CommandError(f"An image does not exist locally with the tag: {tag}")
        if not self.logged_in:
            raise CommandError("denied: Your authorization token has expired. Reauthenticate and try again.")
        name = named["name"]
        self.call("ecr", "initiate_layer_upload", {"repositoryName": name})
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {"digest": f"sha256:{hashlib.sha256(tag.encode()).hexdigest()}", "size": 0},
            "layers": [{"digest": f"sha256:{self.digest}", "size": 0}],
            "annotations": {SOURCE_DIGEST: self.digest, "org.opencontainers.image.ref.name": named["tag"]},
        }
        body = json.dumps(manifest)
        self.call(
            "ecr",
            "put_image",
            {
                "repositoryName": name,
                "imageManifest": body,
                "imageManifestMediaType": MANIFEST_TYPE,
                "imageTag": named["tag"],
            },
        )
        self.log(f"{named['tag']}: digest: sha256:{hashlib.sha256(body.encode()).hexdigest()}")


def expanded(command: str, variables: Mapping[str, str]) -> str:
    """A command with its variables replaced, an unknown one by nothing, as a shell does."""

    def value(found: re.Match[str]) -> str:
        known = variables.get(found["braced"] or found["plain"], "")
        return known.partition("/")[0] if found["cut"] else known

    return VARIABLE.sub(value, command)


def copied(dockerfile: str) -> Iterator[str]:
    """What a Dockerfile copies out of its context; copies between stages are not."""
    text = re.sub(r"\\\n", " ", dockerfile)
    for line in text.splitlines():
        words = line.split()
        if words[:1] not in (["COPY"], ["ADD"]) or any(word.startswith("--from=") for word in words):
            continue
        yield from (word.rstrip("/") for word in words[1:-1] if not word.startswith("--"))


def _is_there(source: str, files: Collection[str]) -> bool:
    return any(fnmatch.fnmatch(name, source) or name.startswith(f"{source}/") for name in files)


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    """Options of a command line with their values."""
    for at, word in enumerate(words):
        name, equals, value = word.partition("=")
        if word.startswith("--") and equals and name not in ("--build-arg",):
            yield name, value
        elif word.startswith("--") and at + 1 < len(words):
            yield word, words[at + 1]


def _test(words: list[str]) -> None:
    if len(words) != 3 or words[1] not in ("=", "!="):
        raise CommandError(f"test {shlex.join(words)}: not known to the local cloud's CodeBuild")
    left, operator, right = words
    if (left == right) != (operator == "="):
        raise CommandError("exit status 1")
