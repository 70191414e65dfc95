"""A set of equal processes kept at its wanted number, with health checks, restarts and rolling replacement."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from localcloud.ports import free_port
from localcloud.process import Child, restart_delay
from localcloud.runner.health import HealthCheck, Probe
from localcloud.state import ProcessState

START_SECONDS = 40.0
"""A process that is not healthy by then counts as failed; the local engines start in a few seconds."""
EARLY_SECONDS = 10.0
"""A crash within this time of the start is an early one; a process older than this resets the count of crashes."""
CRASHES_BEFORE_FAILED = 3
"""Crashes in a row after which an early one ends the restarts."""
CONFIGURATION_EXIT = 78
"""Exit code for a wrong configuration (EX_CONFIG of sysexits.h), after which a restart cannot help."""
HEALTH_SECONDS = 2.0
"""Time between two checks of a healthy process."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Spec:
    """Wanted processes of one declared resource.

    Attributes:
        fingerprint: identifies a generation; another one replaces the running processes.
        command: program and arguments.
        environment: the whole environment of a process, from the port that was chosen for it.
        health: check that a process must pass before it serves.
        count: wanted number of processes.
        grace_seconds: time between the request to stop and the kill.
    """

    fingerprint: str
    command: tuple[str, ...]
    environment: Callable[[int], Mapping[str, str]]
    health: HealthCheck
    count: int
    grace_seconds: float = 5.0


@dataclass
class Replica:
    """One process of the set.

    Attributes:
        port: port of the loopback address that it listens on.
        healthy: whether it has passed a check; one that fails too many afterwards is replaced.
        failed_checks: failed checks since the last one that passed.
        next_check: `time.monotonic()` of the next check.
        stop_requested: whether SIGTERM was sent.
    """

    spec: Spec
    child: Child
    port: int
    probe: Probe
    healthy: bool = False
    failed_checks: int = 0
    next_check: float = 0.0
    stop_requested: bool = False


@dataclass
class ReplicaSet:
    """The processes of one declared resource.

    Attributes:
        name: part of the names of its processes and of its log file.
        kind: `ecs` or `sagemaker`.
        resource: the declared resource, as shown to people.
        logs: folder of the log file, which all its processes append to.
        failed: why the wanted generation cannot run, empty while it may.
        restarts: restarts of all its processes so far.
    """

    name: str
    kind: str
    resource: str
    logs: Path
    failed: str = ""
    restarts: int = 0
    _spec: Spec | None = None
    _replicas: list[Replica] = field(default_factory=list)
    _retired: list[tuple[float, Replica]] = field(default_factory=list)
    _crashes: int = 0
    _next_start: float = 0.0
    _refused: bool = False

    def apply(self, spec: Spec) -> None:
        """Make `spec` the wanted generation; one that was refused before (`give_up`) is started now."""
        if self._refused or self._spec is None or spec.fingerprint != self._spec.fingerprint:
            self.failed, self._crashes, self._next_start, self._refused = "", 0, 0.0, False
        self._spec = spec

    def give_up(self, fingerprint: str, reason: str) -> None:
        """Record why this generation cannot be started; processes of an older one go on serving."""
        if self._spec is None or self._spec.fingerprint != fingerprint:
            self._spec = Spec(fingerprint, (), lambda _: {}, HealthCheck("/"), 0)
        self.failed, self._refused = reason, True

    @property
    def complete(self) -> bool:
        """Whether the wanted generation has its wanted number of healthy processes."""
        return self._spec is not None and not self.failed and len(self._current(healthy=True)) >= self._spec.count

    @property
    def serving(self) -> tuple[int, ...]:
        """Ports that callers may be sent to: of the new generation once it is complete, of the old one until then."""
        new = self._current(healthy=True)
        old = [replica for replica in self._replicas if replica.healthy and replica not in new]
        chosen = new if (self.complete or not old) else old
        return tuple(replica.port for replica in chosen)

    def tick(self) -> None:
        """Check every process once, then start missing and stop replaced ones."""
        for replica in list(self._replicas):
            self._check(replica)
        self._start_missing()
        # Processes retired in the last tick are deregistered from the load balancer by now.
        self._end_retired()
        self._retire()

    def stop(self) -> None:
        """Stop every process now; each gets its grace period, of at most 5 s."""
        everything = [*self._replicas, *(replica for _, replica in self._retired)]
        for replica in everything:
            replica.child.terminate()
        for replica in everything:
            replica.child.stop(min(replica.spec.grace_seconds, 5.0))
        self._replicas, self._retired = [], []

    def states(self) -> list[ProcessState]:
        """State of every process; a failure of the wanted generation has an entry of its own."""
        found = [self._state(index, replica) for index, replica in enumerate(self._replicas)]
        if self.failed:
            log = str(self._log())
            found.append(
                ProcessState(
                    f"{self.name}-failed", self.kind, self.resource, status="failed", log=log, reason=self.failed
                )
            )
        return found

    def _current(self, *, healthy: bool) -> list[Replica]:
        return [r for r in self._replicas if self._is_current(r) and (r.healthy or not healthy)]

    def _is_current(self, replica: Replica) -> bool:
        return self._spec is not None and replica.spec.fingerprint == self._spec.fingerprint

    def _log(self) -> Path:
        return self.logs / f"{self.kind}-{self.name}.log"

    def _check(self, replica: Replica) -> None:
        now = time.monotonic()
        code = replica.child.exit_code()
        if code is not None:
            self._replicas.remove(replica)
            replica.child.kill()
            if self._is_current(replica):
                self._crashed(replica, code)
            return
        if now < replica.next_check or (passed := replica.probe.poll()) is None:
            return
        if passed:
            replica.healthy, replica.failed_checks = True, 0
            self._crashes = 0 if now - replica.child.started > EARLY_SECONDS else self._crashes
        elif replica.healthy:
            replica.failed_checks += 1
            if replica.failed_checks >= replica.spec.health.unhealthy_after:
                self._replace(replica)
        elif now - replica.child.started > START_SECONDS and self._is_current(replica):
            self._replicas.remove(replica)
            replica.child.stop(1.0)
            self.failed = (
                f"GET {replica.spec.health.path} was not answered within {START_SECONDS:.0f} s on the port that the "
                f"template declares; last log line: {replica.child.last_log_line()}"
            )
        replica.next_check = now + (HEALTH_SECONDS if replica.healthy else 0.0)

    def _replace(self, replica: Replica) -> None:
        """Replace a process that became unhealthy, as ECS and SageMaker do."""
        health = replica.spec.health
        logger.warning(
            "%s: GET %s did not succeed within %.0f s %d times in a row: the process is replaced.",
            self.resource,
            health.path,
            health.timeout_seconds,
            health.unhealthy_after,
        )
        self._retire_one(replica)
        if self._is_current(replica):
            self._restart_later()

    def _crashed(self, replica: Replica, code: int) -> None:
        self._restart_later()
        early = time.monotonic() - replica.child.started < EARLY_SECONDS
        if code == CONFIGURATION_EXIT or (early and self._crashes >= CRASHES_BEFORE_FAILED):
            self.failed = f"the container exited with code {code}: {replica.child.last_log_line()}"

    def _restart_later(self) -> None:
        self._crashes += 1
        self.restarts += 1
        self._next_start = time.monotonic() + restart_delay(self._crashes)

    def _start_missing(self) -> None:
        spec = self._spec
        if spec is None or self.failed or time.monotonic() < self._next_start:
            return
        for _ in range(spec.count - len(self._current(healthy=False))):
            port = free_port()
            child = Child(spec.command, spec.environment(port), self._log())
            self._replicas.append(Replica(spec, child, port, Probe(port, spec.health)))

    def _retire(self) -> None:
        """Retire processes that a complete new generation has replaced, and those above the wanted number."""
        if self._spec is None or not self.complete:
            return
        kept = self._current(healthy=True)[: self._spec.count]
        for replica in [replica for replica in self._replicas if replica not in kept]:
            self._retire_one(replica)

    def _retire_one(self, replica: Replica) -> None:
        replica.probe.close()
        self._replicas.remove(replica)
        self._retired.append((time.monotonic() + replica.spec.grace_seconds, replica))

    def _end_retired(self) -> None:
        for entry in list(self._retired):
            deadline, replica = entry
            if not replica.stop_requested:
                replica.stop_requested = True
                replica.child.terminate()
            if replica.child.exit_code() is not None or time.monotonic() > deadline:
                replica.child.kill()
                self._retired.remove(entry)

    def _state(self, index: int, replica: Replica) -> ProcessState:
        status = "healthy" if replica.healthy else "starting"
        if not replica.healthy and time.monotonic() - replica.child.started > EARLY_SECONDS:
            status = "unhealthy"
        return ProcessState(
            name=f"{self.name}-{index}",
            kind=self.kind,
            resource=self.resource,
            pid=replica.child.pid,
            port=replica.port,
            status=status,
            restarts=self.restarts,
            log=str(replica.child.log),
        )
