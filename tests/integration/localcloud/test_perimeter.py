"""Every server of a running local cloud refuses what a foreign page would send, and changes nothing by it."""

from __future__ import annotations

from urllib.parse import urlencode

import httpx
import pytest

from localcloud.credentials import read_credentials
from localcloud.store_keys import store_keys
from tests.aws import signed

from .conftest import Cloud

SERVERS = ("aws", "opik", "qdrant", "sink", "sagemaker_runtime")
CREATE_QUEUE = {"Action": "CreateQueue", "QueueName": "of-a-foreign-page", "Version": "2012-11-05"}


def test_every_server_of_the_state_file_is_tried(cloud: Cloud) -> None:
    assert set(cloud.state().ports) == set(SERVERS)


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example"},
        {"Origin": "https://page.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
    ],
    ids=["host", "origin", "null-origin", "cross-site", "same-site"],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_foreign_page_gets_403(cloud: Cloud, server: str, headers: dict[str, str], method: str) -> None:
    answer = httpx.request(method, f"http://127.0.0.1:{cloud.state().ports[server]}/", headers=headers, timeout=30)
    assert answer.status_code == 403, answer.text
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_a_call_to_aws_that_a_page_can_send_without_asking_has_no_effect(cloud: Cloud) -> None:
    url, form = f"http://127.0.0.1:{cloud.state().ports['aws']}/", urlencode(CREATE_QUEUE).encode()
    # Signed, so that it is the page that is refused.
    own = signed("sqs", "POST", url, form, read_credentials(cloud.root))
    for headers in ({"Origin": "https://page.example"}, {"Sec-Fetch-Site": "cross-site"}):
        refused = httpx.post(url, content=form, headers={**own, **headers}, timeout=30)
        assert refused.status_code == 403 and "answers no page of another" in refused.json()["message"]
    assert httpx.post(url, data=CREATE_QUEUE, timeout=30).status_code == 403
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert httpx.get(url, params=CREATE_QUEUE, headers=link, timeout=30).status_code == 403
    assert not cloud.client("sqs").list_queues(QueueNamePrefix="of-a-foreign-page").get("QueueUrls")
    assert httpx.post(url, content=form, headers=own, timeout=30).status_code == 200
    assert cloud.client("sqs").list_queues(QueueNamePrefix="of-a-foreign-page")["QueueUrls"]


def test_a_message_that_a_page_sends_blindly_is_not_recorded(cloud: Cloud) -> None:
    sink = f"http://127.0.0.1:{cloud.state().ports['sink']}"
    foreign = httpx.post(f"{sink}/slack/alerts", content="{}", headers={"Origin": "https://page.example"}, timeout=30)
    assert foreign.status_code == 403
    assert httpx.get(f"{sink}/messages", timeout=30).json()["messages"] == []


def test_no_answer_of_aws_may_be_read_by_another_origin(cloud: Cloud) -> None:
    answer = httpx.get(f"http://127.0.0.1:{cloud.state().ports['aws']}/_ministack/health", timeout=30)
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_the_running_store_asks_for_its_keys(cloud: Cloud) -> None:
    keys = store_keys(cloud.root)
    url = f"http://127.0.0.1:{cloud.state().ports['qdrant']}/collections"

    def status(method: str, **headers: str) -> int:
        return httpx.request(method, f"{url}/none", headers=headers, json={}, trust_env=False).status_code

    assert [status(method) for method in ("GET", "PUT", "DELETE")] == [401] * 3
    reader = {"api-key": keys.read}
    assert [status(method, **reader) for method in ("GET", "PUT", "DELETE")] == [404, 403, 403]
    assert status("DELETE", Authorization=f"Bearer {keys.write}") == 200
    # What a page of another origin sends is refused whether or not it knows a key.
    assert status("DELETE", Origin="https://elsewhere.example.com", **{"api-key": keys.write}) == 403
