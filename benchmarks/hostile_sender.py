"""`python -m benchmarks.hostile_sender URL SECONDS`: sends a hundred hostile bodies a second to the RAG service.

Each body is at most as long as the service reads (64 KiB), and is made to cost as much as it can: many validation
errors, deep nesting, long numbers, badly encoded text, and texts over which a careless pattern takes quadratic time.
One body in ten is valid and gets an answer of the model. The environment has the API key. Prints the numbers of answers
by status as JSON.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

KEY_VARIABLE = "BENCHMARK_API_KEY"
BODIES_PER_SECOND = 100
CONNECTIONS = 64
MAX_BYTES = 64 * 1024
WAIT_SECONDS = 30.0
RAG, CHAT = "/rag", "/v1/chat/completions"


def _padded(start: bytes, unit: bytes, end: bytes) -> bytes:
    """As many units as fit into the longest body that is read."""
    return start + unit * ((MAX_BYTES - len(start) - len(end)) // len(unit)) + end


def _chat(text: str) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": text}], "enable_rag": False}).encode()


INVALID = (
    (RAG, _padded(b'{"query": ["', b"x", b'"]}')),
    (RAG, _padded(b"", b"[", b"")),
    (RAG, _padded(b"", b'{"a":', b"")),
    (RAG, _padded(b'{"query": ', b"9", b"}")),
    (RAG, _padded(b'{"query": "', b"\\u0000", b'"}')),
    (RAG, _padded(b'{"query": "', b"\xc3", b'"}')),
    (RAG, json.dumps({f"field{number}": number for number in range(4_000)}).encode()[:MAX_BYTES]),
    (CHAT, _padded(b'{"messages": [{}', b",{}", b"]}")),
    (CHAT, _padded(b'{"stop": [1', b",1", b'], "messages": []}')),
    (CHAT, _chat(". " * 30_000)),
    ("/feedback", _padded(b'{"trace_id": "', b" ", b'"}')),
)
VALID = ((CHAT, _chat("<" + " " * 60_000)), (CHAT, _chat(". " * 1_900)), (CHAT, _chat("</context" * 400)))


def main() -> None:
    """Send at the rate of the clock, not that of the answers, and print what came back."""
    url, seconds = urlsplit(sys.argv[1]), float(sys.argv[2])
    headers = {"Authorization": f"Bearer {os.environ[KEY_VARIABLE]}", "Content-Type": "application/json"}
    invalid, valid = itertools.cycle(INVALID), itertools.cycle(VALID)
    bodies = [next(valid if number % 10 == 9 else invalid) for number in range(int(seconds * BODIES_PER_SECOND))]
    began = time.monotonic()

    def send(number: int) -> str:
        """The status of the answer to a body, which is sent at its own moment."""
        time.sleep(max(0.0, began + number / BODIES_PER_SECOND - time.monotonic()))
        path, body = bodies[number]
        try:
            with contextlib.closing(http.client.HTTPConnection(str(url.netloc), timeout=WAIT_SECONDS)) as connection:
                connection.request("POST", path, body, headers)
                answer = connection.getresponse()
                answer.read()
                return str(answer.status)
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        seen = Counter(pool.map(send, range(len(bodies))))
    json.dump({"seen": seen, "seconds": time.monotonic() - began}, sys.stdout)


if __name__ == "__main__":
    main()
