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
"""A process that is not healthy by then is started again; the local engines start in a few seconds."""
STABLE_SECONDS = 10.0
"""Failures are forgotten once the wanted number of processes is healthy and each is older than this."""
FAILURES_OF_DEPLOYMENT = 3
"""Failures in a row after which a deployment that has not been complete yet counts as failed."""
CONFIGURATION_EXIT = 78
"""Exit code for a wrong configuration (EX_CONFIG of sysexits.h), which a restart seldom helps."""
REFUSAL_SECONDS = 2.0
"""Shortest time between two failures of a generation that may not be started; a real task takes longer to fail."""
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

    What fails is started again without end, with growing pauses (`restart_delay`), as ECS and SageMaker do. Who deploys
    decides when a deployment has failed, and applies the older specification again or stops the starts (`halted`).

    Attributes:
        name: part of the names of its processes and of its log file.
        kind: `ecs` or `sagemaker`.
        resource: the declared resource, as shown to people.
        logs: folder of the log file, which all its processes append to.
        reason: the last failure of the wanted generation; empty once that is complete.
        failures: failures of the wanted generation in a row.
        restarts: restarts of all its processes so far.
        halted: whether no process is started any more, because the deployment of the wanted generation has failed.
    """

    name: str
    kind: str
    resource: str
    logs: Path
    reason: str = ""
    failures: int = 0
    restarts: int = 0
    halted: bool = False
    _spec: Spec | None = None
    _replicas: list[Replica] = field(default_factory=list)
    _retired: list[tuple[float, Replica]] = field(default_factory=list)
    _next_start: float = 0.0
    _refused: bool = False
    _hopeless: bool = False

    def apply(self, spec: Spec, *, halted: bool = False) -> None:
        """Make `spec` the wanted generation.

        A new generation, one that was refused before and a changed number of processes are started without a pause.
        """
        if self._spec is None or spec.fingerprint != self._spec.fingerprint:
            self.forget_failures()
        elif self._refused or spec.count != self._spec.count:
            self._next_start = 0.0
        self._spec, self.halted, self._refused = spec, halted, False

    def refuse(self, fingerprint: str, reason: str, *, halted: bool = False) -> None:
        """Count that this generation may not be started now as a failure; processes of an older one go on serving."""
        if self._spec is None or self._spec.fingerprint != fingerprint:
            self._spec = Spec(fingerprint, (), lambda _: {}, HealthCheck("/"), 0)
            self.forget_failures()
        self.halted, self._refused = halted, True
        if time.monotonic() >= self._next_start:
            self._fail(reason)
            self._next_start = max(self._next_start, time.monotonic() + REFUSAL_SECONDS)

    def forget_failures(self) -> None:
        """Begin to count failures anew, and start what is missing at the next tick."""
        self.reason, self.failures, self._hopeless, self._next_start = "", 0, False, 0.0

    @property
    def complete(self) -> bool:
        """Whether the wanted generation has its wanted number of healthy processes."""
        return self._spec is not None and not self._refused and self.running >= self._spec.count

    @property
    def running(self) -> int:
        """Number of healthy processes of the wanted generation."""
        return len(self._current(healthy=True))

    @property
    def pending(self) -> int:
        """Number of processes of the wanted generation that are not healthy yet."""
        return len(self._current(healthy=False)) - self.running

    @property
    def running_before(self) -> int:
        """Number of healthy processes of older generations."""
        return sum(replica.healthy and not self._is_current(replica) for replica in self._replicas)

    @property
    def deployment_failed(self) -> bool:
        """Whether a deployment of the wanted generation has failed.

        That is three failures in a row, one because of a wrong configuration, or a process that never answered.
        """
        return self._hopeless or self.failures >= FAILURES_OF_DEPLOYMENT

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
        self._note_completion()
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
        """State of every process; a wanted generation that failed and has no process now has an entry of its own."""
        found = [self._state(index, replica) for index, replica in enumerate(self._replicas)]
        if self.reason and (self.halted or not self._current(healthy=False)):
            status = "failed" if self.halted else "unhealthy"
            found.append(
                ProcessState(
                    name=f"{self.name}-{'failed' if self.halted else 'waiting'}",
                    kind=self.kind,
                    resource=self.resource,
                    status=status,
                    restarts=self.restarts,
                    log=str(self._log()),
                    reason=self.reason,
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
        elif replica.healthy:
            replica.failed_checks += 1
            if replica.failed_checks >= replica.spec.health.unhealthy_after:
                self._replace(replica)
        elif now - replica.child.started > START_SECONDS and self._is_current(replica):
            self._replicas.remove(replica)
            replica.probe.close()
            replica.child.stop(1.0)
            self._hopeless = True
            self._restart_later(
                f"GET {replica.spec.health.path} was not answered within {START_SECONDS:.0f} s on the port that the "
                f"template declares; last log line: {replica.child.last_log_line()}"
            )
        replica.next_check = now + (HEALTH_SECONDS if replica.healthy else 0.0)

    def _replace(self, replica: Replica) -> None:
        """Replace a process that became unhealthy, as ECS and SageMaker do."""
        health = replica.spec.health
        reason = (
            f"GET {health.path} did not succeed within {health.timeout_seconds:.0f} s {health.unhealthy_after} times "
            "in a row"
        )
        logger.warning("%s: %s: the process is replaced.", self.resource, reason)
        self._retire_one(replica)
        if self._is_current(replica):
            self._restart_later(reason)

    def _crashed(self, replica: Replica, code: int) -> None:
        self._hopeless = self._hopeless or code == CONFIGURATION_EXIT
        self._restart_later(f"the container exited with code {code}: {replica.child.last_log_line()}")

    def _restart_later(self, reason: str) -> None:
        self.restarts += 1
        self._fail(reason)

    def _fail(self, reason: str) -> None:
        self.reason = reason
        self.failures += 1
        self._next_start = time.monotonic() + restart_delay(self.failures)

    def _note_completion(self) -> None:
        if not self.complete:
            return
        self.reason, self._hopeless = "", False
        now = time.monotonic()
        if all(now - replica.child.started > STABLE_SECONDS for replica in self._current(healthy=True)):
            self.failures = 0

    def _start_missing(self) -> None:
        spec = self._spec
        if spec is None or self.halted or self._refused or time.monotonic() < self._next_start:
            return
        for _ in range(spec.count - len(self._current(healthy=False))):
            port = free_port()
            try:
                child = Child(spec.command, spec.environment(port), self._log())
            except OSError as error:
                # A full disk, or no more processes or files: whatever it is may be over at the next start.
                self._fail(f"the process cannot be started: {error}")
                return
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
        if not replica.healthy and time.monotonic() - replica.child.started > STABLE_SECONDS:
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
            reason=self.reason if self._is_current(replica) and not replica.healthy else "",
        )
