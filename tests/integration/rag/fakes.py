"""Small real HTTP servers that stand for what the RAG service talks to."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import json
import re
import socket
import struct
import threading
import time
import zlib
from typing import Any

import numpy as np

DIMENSION = 64
STALL_SECONDS = 30
KEY = "test-key"
# Keys with a limit of their own, per minute: one for each test that uses it up.
LIMITED = {"key-of-two": 2, "key-of-one": 1}
ANSWER = "Grüße: the timeout covers the weights."


class WordEmbedder:
    """Embeds by hashing words: texts that share words are near each other."""

    model_id = "test/words"
    dimension = DIMENSION

    def embed(self, texts: Any) -> Any:
        rows = np.zeros((len(texts), DIMENSION), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()):
                row[hashlib.sha256(word.encode()).digest()[0] % DIMENSION] += 1
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def frame(payload: bytes, **headers: str) -> bytes:
    """One message of application/vnd.amazon.eventstream with string headers."""
    packed = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack("!II", 16 + len(packed) + len(payload), len(packed))
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + packed + payload
    return message + struct.pack("!I", zlib.crc32(message))


class Server:
    """A threaded HTTP server on a free loopback port; `handle` answers (status, body, headers) or writes itself."""

    def __init__(self) -> None:
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body are two writes: the second would wait 40 ms for the receipt of the first.
            disable_nagle_algorithm = True

            def _any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                answer = outer.handle(self, json.loads(body) if body else {})
                if answer is not None:
                    status, content, headers = answer
                    data = b"" if content is None else json.dumps(content).encode()
                    self.send_response(status)
                    for name, value in {"Content-Type": "application/json", **headers}.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        class Threading(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: Any) -> None:
                pass  # a caller that goes away is part of the tests

        self._http = Threading(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def handle(self, request: Any, body: dict[str, Any]) -> tuple[int, Any, dict[str, str]] | None:
        raise NotImplementedError  # every server is a subclass

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()


class Cloud(Server):
    """SageMaker runtime, SQS and Secrets Manager. `mode` chooses how the model behaves."""

    def __init__(self) -> None:
        self.mode = "ok"
        self.model: str | None = None
        """Name of the model in its answers."""
        self.counting = "tokens"
        """How `/tokenize` answers: with a count of characters, ignoring the route, with 404, or too late."""
        self.queue_up = True
        self.invocations: list[dict[str, Any]] = []
        self.samples: list[dict[str, Any]] = []
        self.aborted = threading.Event()
        keys = [
            {"name": "tests" if key == KEY else key, "sha256": hashlib.sha256(key.encode()).hexdigest(), **limit}
            for key, limit in ((KEY, {}), *((key, {"requests_per_minute": n}) for key, n in LIMITED.items()))
        ]
        self.secret = json.dumps({"keys": keys})
        self.secrets: dict[str, str] = {}
        """Further secrets by ARN."""
        self.secret_reads: list[str] = []
        super().__init__()

    def handle(self, request: Any, body: dict[str, Any]) -> tuple[int, Any, dict[str, str]] | None:
        target = request.headers.get("X-Amz-Target", "").partition(".")[2]
        if target == "GetSecretValue":
            self.secret_reads.append(body["SecretId"])
            return 200, {"SecretString": self.secrets.get(body["SecretId"], self.secret)}, {}
        if target:
            return self._sqs(target, body)
        component = request.headers.get("X-Amzn-SageMaker-Inference-Component")
        self.invocations.append({"path": request.path, "component": component, **body})
        errors = {
            "not_found": (400, "ValidationError", "Endpoint twin of account 1 not found."),
            "no_capacity": (400, "ValidationError", "Inference Component has no capacity to process this request."),
            "throttled": (400, "ThrottlingException", "Rate exceeded"),
            "model_error": (424, "ModelError", "Received server error (500) from primary"),
            "unavailable": (503, "ServiceUnavailable", "The service is unavailable."),
        }
        if self.mode in errors:
            status, code, message = errors[self.mode]
            return status, {"Message": message}, {"x-amzn-errortype": code}
        if request.headers.get("X-Amzn-SageMaker-Custom-Attributes") == "route=/tokenize":
            self.invocations[-1]["route"] = "/tokenize"
            if self.counting == "late":
                time.sleep(2)
            if self.counting == "unknown":
                return 424, {"Message": "no", "OriginalStatusCode": 404}, {"x-amzn-errortype": "ModelError"}
            if self.counting in ("tokens", "late"):
                texts = [message["content"] for message in body.get("messages", ())] or [body["prompt"]]
                return 200, {"count": sum(map(len, texts)), "max_model_len": 8192, "tokens": []}, {}
        if not request.path.endswith("-response-stream"):
            return 200, {"choices": [{"message": {"content": "p"}, "finish_reason": "length"}]}, {}
        self._stream(request)
        return None

    def _sqs(self, target: str, body: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        if not self.queue_up:
            return 400, {"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "gone"}, {}
        if target == "GetQueueAttributes":
            return 200, {"Attributes": {"QueueArn": "arn:aws:sqs:eu-west-1:1:samples"}}, {}
        entries = body["Entries"]
        self.samples += [json.loads(entry["MessageBody"]) for entry in entries]
        digests = [hashlib.md5(entry["MessageBody"].encode()).hexdigest() for entry in entries]
        done = [
            {"Id": entry["Id"], "MessageId": entry["Id"], "MD5OfMessageBody": digest}
            for entry, digest in zip(entries, digests, strict=True)
        ]
        return 200, {"Successful": done, "Failed": []}, {}

    def _stream(self, request: Any) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "application/vnd.amazon.eventstream")
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()

        def write(data: bytes) -> None:
            request.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            request.wfile.flush()

        def part(data: bytes) -> None:
            event = {":message-type": "event", ":event-type": "PayloadPart"}
            write(frame(data, **event, **{":content-type": "application/octet-stream"}))

        try:
            self._write_answer(part, write, request)
            write(b"")
        except OSError:
            self.aborted.set()

    def _write_answer(self, part: Any, write: Any, request: Any) -> None:
        words = re.findall(r"\S+\s*", ANSWER)
        for number, word in enumerate(words):
            named = {"model": self.model} if self.model else {}
            chunk = {**named, "choices": [{"delta": {"content": word}}]}
            line = f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()
            middle = line.find("ü".encode()) + 1 or 9  # through the middle of a character
            part(line[:middle])
            part(line[middle:])
            if number == 1 and self.mode == "break":
                request.connection.shutdown(socket.SHUT_RDWR)
                raise ConnectionAbortedError
            if number == 1 and self.mode == "stream_error":
                fault = {":message-type": "exception", ":exception-type": "ModelStreamError"}
                content = json.dumps({"Message": "gone", "ErrorCode": "StreamBroken"}).encode()
                write(frame(content, **fault, **{":content-type": "application/json"}))
                return
            if number == 1 and self.mode == "stall":
                time.sleep(STALL_SECONDS)
            if self.mode == "slow":
                time.sleep(0.15)
            if self.mode == "flood":
                self._flood(part)
        part(b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n')
        part(b'data: {"choices": [], "usage": {"prompt_tokens": 40, "completion_tokens": 6, "total_tokens": 46}}\n\n')
        part(b"data: [DONE]\n\n")

    @staticmethod
    def _flood(part: Any) -> None:
        """More text than sockets between here and a caller can hold, for as long as somebody takes it."""
        line = f"data: {json.dumps({'choices': [{'delta': {'content': 'x' * 60_000}}]})}\n\n".encode()
        for _ in range(400):
            part(line)


class Opik(Server):
    """Collects what the SDK sends. `down` makes every call fail with 500."""

    def __init__(self) -> None:
        self.down = False
        self.scores: list[dict[str, Any]] = []
        self.traces: dict[str, dict[str, Any]] = {}
        self.spans: list[dict[str, Any]] = []
        super().__init__()

    def handle(self, request: Any, body: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        if request.path.endswith("/is-alive/ver"):
            return 200, {"version": "2.2.122"}, {}
        if self.down:
            return 500, {"message": "down"}, {}
        if request.path.endswith("/traces/feedback-scores"):
            self.scores += body["scores"]
            return 204, None, {}
        if request.command == "GET" and (wanted := re.search(r"/traces/([0-9a-f-]{36})$", request.path)):
            trace = self.traces.get(wanted[1])
            return (200, trace, {}) if trace else (404, {"message": "not found"}, {})
        if request.command == "GET":
            return 200, {}, {}
        for trace in body.get("traces", []):
            self.traces[trace["id"]] = trace
        self.spans += body.get("spans", [])
        return 204, None, {}

    def wait_for(self, trace_id: str, seconds: float = 20) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The trace and its spans."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            spans = [span for span in self.spans if span["trace_id"] == trace_id]
            if trace_id in self.traces and spans:
                return self.traces[trace_id], spans
            time.sleep(0.05)
        raise AssertionError(f"trace {trace_id} did not arrive")
