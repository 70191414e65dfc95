"""Security headers of the page: nothing may run, load or be framed from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources

import httpx
import pytest

from tests.browser.servers import Service

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "connect-src": "'self'",
    "img-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
}
FILES = sorted(file.name for file in (resources.files("services.rag") / "page").iterdir())


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[httpx.Client]:
    """A caller without a key."""
    with httpx.Client(base_url=service.url, trust_env=False, timeout=20) as client:
        yield client


@pytest.mark.parametrize("path", ["/", *(f"/static/{name}" for name in FILES if name != "index.html")])
def test_every_file_comes_without_a_key_and_with_the_strict_policy(client: httpx.Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    directives = response.headers["Content-Security-Policy"].split("; ")
    assert dict(directive.split(" ", 1) for directive in directives) == POLICY
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    again = client.get(path, headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_document_names_only_files_of_its_own(client: httpx.Client) -> None:
    document = client.get("/").text
    addresses = re.findall(r"\b(?:src|href)=\"([^\"#]+)\"", document)
    assert {address.removeprefix("/static/") for address in addresses} == {*FILES} - {"index.html"}
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", document) == []


def test_other_methods_and_other_files_are_not_public(client: httpx.Client) -> None:
    assert client.post("/").status_code == 401
    unknown = client.get("/static/secrets.js")
    assert unknown.status_code == 404
    assert unknown.json()["error"]["request_id"] == unknown.headers["X-Request-Id"]
