"""`python -m benchmarks.judging`: duration of judging against the time that the judge itself takes.

A judge on a socket answers every request after a fixed time. The ideal duration of n samples is n x seconds /
concurrency; the ratio of the measured duration to it is printed. Each sample is judged once, with the style metric,
through the metric, the check of the answer, the meter and the connection pool.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

from localcloud.ports import LOOPBACK
from services.evaluation.judges.meter import Meter, Price
from services.evaluation.judges.openai_judge import OpenAIJudge
from services.evaluation.metrics.answer import Answer
from services.evaluation.metrics.judged import judged_scores
from services.evaluation.metrics.names import STYLE
from services.evaluation.run.opik_metrics import score_answers

MAX_RATIO = 1.2
_VERDICT = json.dumps({"reason": "short words", "score": 3})
_BODY = json.dumps(
    {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": _VERDICT}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 900, "completion_tokens": 40, "total_tokens": 940},
    }
).encode()
_RESPONSE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + str(len(_BODY)).encode() + b"\r\n\r\n"
) + _BODY


@dataclass(frozen=True)
class Result:
    """Duration of a run.

    Attributes:
        samples: number of judged answers.
        failed: number of failed scores.
        concurrency: number of judgements at the same time.
        judge_seconds: time that the judge takes for one.
        ideal_seconds: samples x judge_seconds / concurrency.
        seconds: wall clock of the run.
        cpu_seconds: processor time of the judging process in it.
        ratio: seconds / ideal_seconds.
    """

    samples: int
    failed: int
    concurrency: int
    judge_seconds: float
    ideal_seconds: float
    seconds: float
    cpu_seconds: float
    ratio: float


class _SlowJudge(asyncio.Protocol):
    """One connection of the judge's server; requests are sequential, bodies have a Content-Length."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport for answers."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a TCP server's is
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer a complete request after the judge's time."""
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator or self._transport is None:
            return
        fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
        if len(rest) >= int(fields[b"content-length"]):
            self._buffer = b""
            asyncio.get_running_loop().call_later(self._seconds, self._transport.write, _RESPONSE)


async def _serve(seconds: float) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: _SlowJudge(seconds), LOOPBACK, 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


def run(samples: int, concurrency: int, judge_seconds: float) -> Result:
    """Judge samples with a judge that runs in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.judging", "--serve", "--judge-seconds", str(judge_seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None  # noqa: S101 - piped above
            port = int(server.stdout.readline())
            return _measure(f"http://{LOOPBACK}:{port}/v1", samples, concurrency, judge_seconds)
        finally:
            server.terminate()


def _measure(url: str, samples: int, concurrency: int, judge_seconds: float) -> Result:
    judge = OpenAIJudge(url, "slow", None, Meter(Price(1.0, 1.0), allowance=1000.0), concurrency)
    metrics = {STYLE: judged_scores(judge)[STYLE]}
    answers = {f"sample-{number}": Answer("What is a queue?", f"Answer {number}. " * 20) for number in range(samples)}
    started, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    items = score_answers(answers, metrics, concurrency)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    judge.close()
    ideal = samples * judge_seconds / concurrency
    cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    failed = sum(len(item.failed) for item in items)
    return Result(samples, failed, concurrency, judge_seconds, ideal, seconds, cpu, seconds / ideal)


def main() -> int:
    """Run and print the ratio. Returns the exit status: 1 when a score failed or the ratio is above the goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--judge-seconds", type=float, default=0.5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(_serve(options.judge_seconds))
    result = run(options.samples, options.concurrency, options.judge_seconds)
    if options.json:
        print(json.dumps(asdict(result)))
    else:
        print(
            f"{result.samples} samples at concurrency {result.concurrency}, {result.judge_seconds:g} s each: "
            f"{result.seconds:.1f} s, ideal {result.ideal_seconds:.1f} s, ratio {result.ratio:.3f} "
            f"(goal: at most {MAX_RATIO:g}); {result.failed} failed, {result.cpu_seconds:.1f} s of CPU"
        )
    return int(result.failed > 0 or result.ratio > MAX_RATIO)


if __name__ == "__main__":
    sys.exit(main())
