"""Calls to GitHub's REST API: one comment that is kept up to date, environments and variables."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, Literal

import httpx

from twin.target.errors import TwinError
from twin.target.github_job import Job

VERSION = "2022-11-28"
TIMEOUT = httpx.Timeout(30)
PAGE = 100
LONGEST_COMMENT = 65_536
"""Characters that GitHub takes."""
CUT = "\n\n_Cut: GitHub takes no longer comment. The whole is on the page of the run._"


class GitHub:
    """One repository, accessed with a job's token."""

    def __init__(self, job: Job) -> None:
        self._repository = job.repository
        self._root = f"{job.api}/repos/{job.repository}"
        self._http = httpx.Client(
            base_url=self._root,
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {job.token}",
                "X-GitHub-Api-Version": VERSION,
            },
            timeout=TIMEOUT,
            transport=httpx.HTTPTransport(retries=2),
        )

    def __enter__(self) -> GitHub:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def keep_comment(self, pull_request: int, marker: str, write: Callable[[str], str]) -> str:
        """Replace the pull request's comment that starts with `marker`, or add it; returns its address.

        `write`: the new text out of the old one, which is empty when there is none.

        Raises:
            TwinError: GitHub refused.
        """
        for comment in self._comments(pull_request):
            # Every user can write the marker; a comment of a bot is this workflow's.
            if comment["body"].startswith(marker) and comment["user"]["type"] == "Bot":
                body = {"body": _fitting(marker, write(comment["body"].removeprefix(f"{marker}\n")))}
                return str(self._call("PATCH", f"/issues/comments/{comment['id']}", body)["html_url"])
        body = {"body": _fitting(marker, write(""))}
        return str(self._call("POST", f"/issues/{pull_request}/comments", body)["html_url"])

    def set_environment(self, name: str, refs: tuple[str, ...], kind: Literal["branch", "tag"] = "branch") -> None:
        """Make the deployment environment `name`, open to jobs of these branches or tags (patterns) only.

        Reviewers and waits of an existing environment are left alone: they are a person's decision. GitHub's reference
        does not say what becomes of a field that a PUT leaves out, so they are sent again and compared afterwards.

        Raises:
            TwinError: GitHub refused, or a rule of the environment is another one now.
        """
        policy = {"protected_branches": False, "custom_branch_policies": True}
        before = self._environment(name)
        if before is None or before.get("deployment_branch_policy") != policy:
            kept = _protection(before)
            self._call("PUT", f"/environments/{name}", {**kept, "deployment_branch_policy": policy})
            if (found := _protection(self._environment(name))) != kept:
                raise TwinError(f"The environment {name} had the rules {kept} and has {found} now: set them again.")
        path = f"/environments/{name}/deployment-branch-policies"
        known = {each["name"] for each in self._call("GET", path)["branch_policies"]}
        for ref in refs:
            if ref not in known:
                self._call("POST", path, {"name": ref, "type": kind})

    def asks_reviewers(self, environment: str) -> bool:
        """Whether a job in the environment waits for a person.

        Raises:
            TwinError: GitHub refused.
        """
        return "reviewers" in _protection(self._environment(environment))

    def is_public(self) -> bool:
        """Whether everybody may read the repository.

        Raises:
            TwinError: GitHub refused.
        """
        return not self._call("GET", self._root)["private"]

    def set_variable(self, name: str, value: str) -> None:
        """Set a repository variable.

        Raises:
            TwinError: GitHub refused.
        """
        body = {"name": name, "value": value}
        response = self._send("PATCH", f"/actions/variables/{name}", body)
        if response.status_code == httpx.codes.NOT_FOUND:
            self._call("POST", "/actions/variables", body)
        else:
            self._checked(response)

    def _environment(self, name: str) -> Any:
        """The environment, or None."""
        response = self._send("GET", f"/environments/{name}")
        return None if response.status_code == httpx.codes.NOT_FOUND else self._checked(response).json()

    def _comments(self, pull_request: int) -> Iterator[Any]:
        for page in itertools.count(1):
            found = self._call("GET", f"/issues/{pull_request}/comments?per_page={PAGE}&page={page}")
            yield from found
            if len(found) < PAGE:
                return

    def _call(self, method: str, path: str, body: object = None) -> Any:
        response = self._checked(self._send(method, path, body))
        return response.json() if response.content else None

    def _send(self, method: str, path: str, body: object = None) -> httpx.Response:
        try:
            return self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise TwinError(f"GitHub could not be reached for {method} {path}: {error}") from None

    def _checked(self, response: httpx.Response) -> httpx.Response:
        if response.is_success:
            return response
        try:
            said = response.json().get("message")
        except (ValueError, AttributeError):
            said = response.text[:200]
        request = response.request
        raise TwinError(
            f"GitHub refused {request.method} {request.url.path} with {response.status_code}: {said}. "
            f"The token needs write access to it in {self._repository}."
        )


def _protection(environment: Any) -> dict[str, Any]:
    """Wait and reviewers of an environment, in the form in which a PUT takes them."""
    kept: dict[str, Any] = {}
    for rule in (environment or {}).get("protection_rules") or ():
        if rule["type"] == "wait_timer":
            kept["wait_timer"] = rule["wait_timer"]
        elif rule["type"] == "required_reviewers":
            found = ({"type": each["type"], "id": each["reviewer"]["id"]} for each in rule["reviewers"])
            kept["reviewers"] = sorted(found, key=lambda each: (each["type"], each["id"]))
            kept["prevent_self_review"] = bool(rule.get("prevent_self_review"))
    return kept


def _fitting(marker: str, body: str) -> str:
    text = f"{marker}\n{body}"
    return text if len(text) <= LONGEST_COMMENT else text[: LONGEST_COMMENT - len(CUT)] + CUT
