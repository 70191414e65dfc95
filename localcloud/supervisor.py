"""The supervisor: the one long-running process of a local cloud, which starts and watches all others.

`twin local-start` (through `localcloud/lifecycle.py`) starts it as `python -m localcloud --root DIR`. All its state
lies in `DIR/.local`, all its ports on 127.0.0.1.

1. A file lock makes sure that one supervisor runs per folder. Free ports are chosen, and at the first start a random
   access key (`credentials.py`).
2. The SageMaker runtime (`sagemaker_runtime/`) is served on a thread of this process. It forwards each invocation to
   a model process by a routing table in memory.
3. The platform (`platform.py`) starts four child processes and waits for each to be ready: the AWS emulator, the Opik
   collector, the Qdrant server, and the sink that stands for Slack.
4. Then the loop, twice a second, more slowly when nothing has changed for ten seconds:
   - the platform restarts children that died;
   - the runner (`runner/reconcile.py`) reads from the emulator which SageMaker components and ECS services are
     declared, and starts, replaces and stops processes until they match. It tells the routing table and the load
     balancer's target groups which of them serve. Lambda functions run inside the emulator; the runner only checks
     their roles;
   - the state of every process is written to `.local/state.json`, which `twin` reads.

So the real CDK deploys into the emulator, and the runner starts what it declared at its next pass.

When something fails:

- A part that does not get ready ends the start, with the last line of its log.
- A child that dies is started again with growing pauses. The emulator is not: it holds what was deployed in memory,
  so its death is shown as failed.
- A container that exits, or is not healthy within 40 seconds, is started again without end, with pauses that grow to
  30 seconds; the state says why. A deployment of which three starts fail ends with the reason, and processes of the
  release before go on serving.
- A disk that is full, or a machine that has no process left to give, is said once in the log; what failed for it is
  tried again until it works.
- SIGTERM or SIGINT stops runner, runtime and platform in this order and removes the state file. On Linux children die
  with a supervisor that was killed; `twin local-stop` ends whatever carries the mark of the folder.
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from localcloud.attempts import Attempts
from localcloud.credentials import keep_credentials
from localcloud.errors import LocalCloudError
from localcloud.perimeter import Perimeter
from localcloud.platform import PARTS, Platform
from localcloud.ports import LOOPBACK, free_ports
from localcloud.runner.reconcile import Runner
from localcloud.sagemaker_runtime.app import create_app
from localcloud.sagemaker_runtime.guard import guarded
from localcloud.sagemaker_runtime.routing import RoutingTable
from localcloud.state import State, state_path, write_state

TICK_SECONDS = 0.5
# Reading all declared resources costs a tenth of a core at that pace, so it is slower after a time without changes.
QUIET_TICK_SECONDS = 1.5
QUIET_AFTER_SECONDS = 10.0
RUNTIME_START_SECONDS = 10.0

logger = logging.getLogger(__name__)


class Supervisor:
    """The process that runs one local cloud, with its files in `root`/.local."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._stopping = threading.Event()
        self._written: State | None = None
        self._attempts = Attempts()

    def run(self) -> None:
        """Run until SIGTERM or SIGINT, then stop every process. Call it on the main thread.

        Raises:
            LocalCloudError: a part does not get ready, or another supervisor runs in this folder.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        with self._exclusive():
            names = (*(part.port_name for part in PARTS), "sagemaker_runtime")
            ports = dict(zip(names, free_ports(len(names)), strict=True))
            credentials = keep_credentials(self._root)
            platform = Platform(self._root, ports)
            table = RoutingTable()
            try:
                with _serve_runtime(guarded(create_app(table), credentials), ports["sagemaker_runtime"]):
                    platform.start()
                    runner = Runner(self._root, ports, table)
                    try:
                        self._loop(platform, runner, ports)
                    finally:
                        runner.stop()
            finally:
                platform.stop()
                state_path(self._root).unlink(missing_ok=True)

    def _loop(self, platform: Platform, runner: Runner, ports: dict[str, int]) -> None:
        changed = time.monotonic()
        while not self._stopping.is_set():
            started = time.monotonic()
            self._attempts.make("The watch over the platform", platform.tick)
            self._attempts.make("The watch over the containers", runner.tick)
            processes = (*platform.states(), *runner.states())
            state = State(pid=os.getpid(), ports=ports, ready=True, processes=processes)
            if state != self._written and self._attempts.make(
                f"Writing {state_path(self._root)}", partial(write_state, self._root, state)
            ):
                self._written, changed = state, started
            pace = TICK_SECONDS if started - changed < QUIET_AFTER_SECONDS else QUIET_TICK_SECONDS
            self._stopping.wait(max(0.05, pace - (time.monotonic() - started)))

    def _stop(self, _: int, __: FrameType | None) -> None:
        if self._stopping.is_set():
            return
        self._stopping.set()

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        path = self._root / ".local" / "supervisor.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LocalCloudError(f"Another local cloud is starting in {self._root}: wait for it.") from None
            yield


@contextmanager
def _serve_runtime(app: ASGIApp, port: int) -> Iterator[None]:
    """The SageMaker runtime, on its own thread."""
    server = uvicorn.Server(uvicorn.Config(Perimeter(app), host=LOOPBACK, port=port, log_level="warning"))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.run, name="sagemaker-runtime", daemon=True)
    thread.start()
    deadline = time.monotonic() + RUNTIME_START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise LocalCloudError(f"The SageMaker runtime cannot listen on port {port}.")
        time.sleep(0.02)
    try:
        yield
    finally:
        server.force_exit = True
        server.should_exit = True
        thread.join(5)
