"""Git repositories: cloning, and the author, dates and addresses of their files."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from services.rag.ingest.documents import IngestError

PROTOCOLS = ("https", "ssh", "file")
_SCP_LIKE = re.compile(r"^(?:[\w.-]+@)?([\w.-]+):(?!/)([\w./~-]+)$")
# A repository's own configuration must not start programs while it is only being read: no pager, no monitor, no hooks,
# no check of signatures (git-config, "core.*" and "log.showSignature").
_HARMLESS = (
    *("--no-pager", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.quotePath=false"),
    *("-c", "log.showSignature=false"),
)
_NO_PROTOCOL = "none"
"""For commands that only read: git fetches missing objects of a partial clone by itself, with the programs that the
repository's configuration names (gitprotocol-capabilities and git-config, "extensions.partialClone")."""
# A transfer below 1 kB/s for a minute has died.
_STALLED = {"GIT_HTTP_LOW_SPEED_LIMIT": "1000", "GIT_HTTP_LOW_SPEED_TIME": "60"}
_FILE_PATHS = {"github.com": "/blob/HEAD/", "gitlab.com": "/-/blob/HEAD/"}


@dataclass(frozen=True)
class Repository:
    """A repository on this machine.

    Attributes:
        remote: web address of the origin remote, without credentials; empty when there is none.
        name: of the origin remote (host/owner/name), else of the folder.
        author: of the last commit; empty without git or commits.
        files: tracked files; None when git is missing, which leaves the choice to the .gitignore rules.
        dates: file -> day of its last change; empty when there is no history (a shallow clone).
    """

    root: Path
    remote: str
    name: str
    author: str = ""
    files: list[str] | None = None
    dates: Mapping[str, str] = field(default_factory=dict)

    def url(self, path: str) -> str:
        """Address of a file where the host's pattern is known, else of the repository."""
        pattern = _FILE_PATHS.get(urlsplit(self.remote).hostname or "")
        return f"{self.remote}{pattern}{quote(path)}" if pattern else self.remote


def is_git_url(source: str) -> bool:
    """Whether a source is the address of a repository (not a path)."""
    return "://" in source or (_SCP_LIKE.match(source) is not None and not Path(source).exists())


def is_repository(path: Path) -> bool:
    """Whether a folder is the top of a working tree."""
    return (path / ".git").exists()


def clone(url: str, into: Path) -> None:
    """Copy the last commit of a repository into the new folder `into`, without ever asking for a password.

    Raises:
        IngestError: git is missing, the protocol is not one of PROTOCOLS, or the clone failed.
    """
    protocol = url.split("://", 1)[0] if "://" in url else "ssh"
    if protocol not in PROTOCOLS:
        raise IngestError(f"{without_credentials(url)}: repositories are read over {', '.join(PROTOCOLS)} only.")
    _git(
        *("clone", "--depth=1", "--single-branch", "--no-tags", "--no-recurse-submodules", "--quiet"),
        *("--", url, str(into)),
        what=f"Cloning {without_credentials(url)}",
        protocols=":".join(PROTOCOLS),
    )


def describe(root: Path) -> Repository:
    """Read the repository in `root`.

    Raises:
        IngestError: git is installed and cannot read the repository.
    """
    if shutil.which("git") is None:
        remote = web_address(_configured_remote(root))
        return Repository(root, remote, _name(remote, root))
    listed = _git("ls-files", "-z", at=root).split("\0")
    remotes = _git("config", "--get-regexp", r"^remote\.origin\.url$", at=root, may_fail=True)
    remote = web_address(remotes.partition(" ")[2].strip())
    author = _git("log", "-1", "--format=%an", at=root, may_fail=True).strip()
    return Repository(root, remote, _name(remote, root), author, sorted(filter(None, listed)), _dates(root))


def web_address(remote: str) -> str:
    """A remote as an https address without credentials; empty for one that only this machine can reach."""
    if match := _SCP_LIKE.match(remote):
        host, path = match.groups()
    else:
        parts = urlsplit(remote)
        if parts.scheme not in ("http", "https", "ssh", "git") or not parts.hostname:
            return ""
        port = f":{parts.port}" if parts.port and parts.scheme in ("http", "https") else ""
        host, path = f"{parts.hostname}{port}", parts.path
    return f"https://{host}/{path.strip('/').removesuffix('.git')}"


def without_credentials(url: str) -> str:
    """An address without the user name and password in it, for messages."""
    return re.sub(r"://[^@/]+@", "://", url)


def folder_name(url: str) -> str:
    """The last part of an address, as `git clone` names the folder."""
    return re.split(r"[/:]", url.rstrip("/").removesuffix("/.git"))[-1].removesuffix(".git") or "repository"


def _name(remote: str, root: Path) -> str:
    return remote.removeprefix("https://") or folder_name(str(root.resolve()))


def _dates(root: Path) -> dict[str, str]:
    if _git("rev-parse", "--is-shallow-repository", at=root).strip() == "true":
        return {}  # every file would seem to be of the last commit
    log = _git("log", "--format=%x01%cs", "--name-only", "--no-renames", "-z", at=root, may_fail=True)
    dates: dict[str, str] = {}
    for commit in log.split("\x01")[1:]:
        # With -z a commit reads "<day>\0\n<file>\0<file>\0\0", newest commit first.
        day, *files = (part.strip("\n") for part in commit.split("\0"))
        for name in filter(None, files):
            dates.setdefault(name, day)
    return dates


def _configured_remote(root: Path) -> str:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    try:
        parser.read(root / ".git" / "config", encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return ""
    return parser.get('remote "origin"', "url", fallback="")


def _git(
    *arguments: str,
    at: Path | None = None,
    what: str = "Reading the repository",
    may_fail: bool = False,
    protocols: str = _NO_PROTOCOL,
) -> str:
    where = ("-C", str(at)) if at else ()
    # Variables that name a repository (a hook's GIT_DIR) must not redirect git to that one.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in _KEPT}
    environment = {
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
        **kept,
        **_STALLED,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        "GIT_ALLOW_PROTOCOL": protocols,
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "LC_ALL": "C.UTF-8",
    }
    try:
        done = subprocess.run(
            ["git", *_HARMLESS, *where, *arguments], env=environment, stdin=subprocess.DEVNULL, capture_output=True
        )
    except FileNotFoundError:
        raise IngestError(f"{what} needs git, which is not installed: install it, or give a local copy.") from None
    if done.returncode != 0 and not may_fail:
        printed = without_credentials(done.stderr.decode(errors="replace")).strip()
        lines = printed.splitlines() or [f"exit code {done.returncode}"]
        said = next((line for line in lines if line.startswith("fatal:")), lines[-1]).removeprefix("fatal: ")
        raise IngestError(f"{what} failed: {said.rstrip('.')}.")
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""


# How to reach and trust remotes is the caller's configuration.
_KEPT = frozenset({"GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSL_CAINFO", "GIT_PROXY_COMMAND", "GIT_CONFIG_GLOBAL"})
