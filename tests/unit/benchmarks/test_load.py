"""The load generator against the stub LLM, over sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from benchmarks import load
from benchmarks.load import Plan
from benchmarks.stub_llm import StubProtocol, Timetable

TIMETABLE = Timetable(20, 5, 10)
BODY = {"messages": [{"role": "user", "content": "why?"}]}


@pytest.fixture
async def stub() -> AsyncIterator[str]:
    server = await asyncio.get_running_loop().create_server(StubProtocol, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def plan(url: str, kind: str, tokens: int = TIMETABLE.tokens, *, stream: bool = True) -> Plan:
    path = f"/{TIMETABLE.path}/v1/chat/completions"
    return Plan(kind, url, {**BODY, "stream": stream}, 3, 6, tokens, 10, path=path)


async def test_every_token_is_timed(stub: str) -> None:
    found = await load.run(plan(stub, "openai"))
    assert found.errors == {}
    assert len(found.total_ms) == len(found.ttft_ms) == 6
    assert len(found.gap_ms) == 6 * (TIMETABLE.tokens - 1)
    assert min(found.ttft_ms) >= TIMETABLE.ttft_ms - 1
    assert min(found.total_ms) >= TIMETABLE.total_ms - 1
    assert found.seconds > 0


async def test_an_answer_in_one_piece_takes_as_long_as_its_last_token(stub: str) -> None:
    found = await load.run(plan(stub, "json", 0, stream=False))
    assert found.errors == {}
    assert len(found.total_ms) == 6 and not found.ttft_ms
    assert min(found.total_ms) >= TIMETABLE.total_ms - 1


async def test_missing_tokens_are_errors_and_no_figures(stub: str) -> None:
    found = await load.run(plan(stub, "openai", TIMETABLE.tokens + 1))
    assert found.errors == {"5 tokens instead of 6": 6}
    assert found.total_ms == []


async def test_a_refusal_is_an_error(stub: str) -> None:
    wrong = Plan("openai", stub, BODY, 1, 2, 0, 1, path="/no-such-timetable/invocations")
    found = await load.run(wrong)
    assert found.errors == {"status 404": 2}


@pytest.mark.parametrize(
    ("kind", "data", "tokens"),
    [
        ("rag", b'event: status\ndata: {}\n\nevent: token\ndata: {"text":"a"}\n\nevent: tok', 1),
        (
            "openai",
            b'data: {"choices":[{"delta":{"content": ""}}]}\n\ndata: {"choices":[{"delta":{"content":"a"}}]}\n',
            1,
        ),
        ("openai", b'data: {"choices":[{"delta":{}}]}\n\ndata: [DONE]\n\n', 0),
    ],
)
def test_tokens_are_counted_in_complete_lines(kind: str, data: bytes, tokens: int) -> None:
    count = load._token_counter(kind)
    assert count(data)[0] == tokens
    found, rest = 0, b""
    for position in range(len(data)):  # byte by byte, as the worst network would
        more, rest = count(rest + data[position : position + 1])
        found += more
    assert found == tokens
