"""Calls to GitHub's REST API: one comment that is kept up to date, environments and variables."""

from __future__ import annotations

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
        self._http = httpx.Client(
            base_url=f"{job.api}/repos/{job.repository}",
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

        Reviewers of an existing environment are left alone: they are a person's decision.

        Raises:
            TwinError: GitHub refused.
        """
        policy = {"protected_branches": False, "custom_branch_policies": True}
        self._call("PUT", f"/environments/{name}", {"deployment_branch_policy": policy})
        path = f"/environments/{name}/deployment-branch-policies"
        known = {each["name"] for each in self._call("GET", path)["branch_policies"]}
        for ref in refs:
            if ref not in known:
                self._call("POST", path, {"name": ref, "type": kind})

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

    def _comments(self, pull_request: int) -> Iterator[Any]:
        page = 1
        while True:
            found = self._call("GET", f"/issues/{pull_request}/comments?per_page={PAGE}&page={page}")
            yield from found
            if len(found) < PAGE:
                return
            page += 1

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


def _fitting(marker: str, body: str) -> str:
    text = f"{marker}\n{body}"
    return text if len(text) <= LONGEST_COMMENT else text[: LONGEST_COMMENT - len(CUT)] + CUT
