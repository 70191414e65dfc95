"""Which tests run on the same worker: those of a module, and the modules that carry the same `xdist_group` mark.

pytest-xdist 3.8's own `--dist loadgroup` does not work: it hands the mark over in `Item._nodeid`, which pytest 9.2 does
not read, so that every test goes to any worker. The process that schedules collects nothing and sees no mark:
the workers write the groups of their modules into a file for it.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

FILE = "groups_file"
"""Key in what the scheduling process hands to a worker."""


class ByGroup(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Sends the modules of a group to one worker; a module without one is a group of its own."""

    def __init__(self, config: pytest.Config, log: Any, file: Path) -> None:
        super().__init__(config, log)
        self._file = file
        self._groups: dict[str, str] = {}

    def schedule(self) -> None:
        """Read the groups, which every worker has written by now, before the first test is sent."""
        self._groups = json.loads(self._file.read_text(encoding="utf-8"))
        super().schedule()

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return self._groups.get(module, module)


class Scheduling:
    """The scheduling process's side: names the file to the workers, makes the scheduler."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "groups.json"

    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput[FILE] = str(self._file)

    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> ByGroup:
        return ByGroup(config, log, self._file)


class Writing:
    """A worker's side: writes the group of every module that has one."""

    def __init__(self, file: Path, worker: str) -> None:
        self._file = file
        self._worker = worker

    # Before xdist's own, which reports to the scheduling process that this worker is ready.
    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        groups = {}
        for item in session.items:
            if mark := item.get_closest_marker("xdist_group"):
                groups[item.nodeid.partition("::")[0]] = mark.args[0]
        # All workers write the same; none may read half of it.
        own = self._file.with_name(self._worker)
        own.write_text(json.dumps(groups), encoding="utf-8")
        own.replace(self._file)


def pytest_configure(config: pytest.Config) -> None:
    """Register the side that this process has."""
    worker = getattr(config, "workerinput", None)
    if worker is None:
        folder = tempfile.TemporaryDirectory(prefix="worker-groups-")
        config.add_cleanup(folder.cleanup)
        config.pluginmanager.register(Scheduling(Path(folder.name)))
    else:
        config.pluginmanager.register(Writing(Path(worker[FILE]), worker["workerid"]))


def share_worker(items: list[pytest.Item], folder: Path) -> None:
    """Mark the tests in a folder as one group: their modules share processes that take long to start."""
    for item in items:
        if folder in item.path.parents:
            item.add_marker(pytest.mark.xdist_group(folder.name))
