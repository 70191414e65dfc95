"""The table of docs/delivery.md: each command under each role, on a stage of the role that is deployed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT
from tests.e2e.roles import Account, running_account, said_by_twin
from tests.github_tokens import ENVIRONMENTS, REGION

pytestmark = pytest.mark.timeout(1200)
ROLES = ("preview", "deploy", "teardown", "evaluate")
ROW = re.compile(r"^\| `(twin [^`]+)` \| (\S.*?) \| (\S.*?) \| (\S.*?) \| (\S.*?) \|$", re.MULTILINE)
STAGES = {"preview": "pr-7", "deploy": "dev", "teardown": "dev", "evaluate": "dev"}
COMMIT, DEPLOYED = "a" * 40, "c" * 40
OPTIONS = {
    "twin ci image": ("--commit", COMMIT),
    "twin ci watch-alarms": ("--minutes", "0"),
    "twin ci remember": ("--commit", COMMIT, "--digest", f"sha256:{'b' * 64}"),
    "twin ci teardown-expired": ("--hours", "0"),
}
"""What a command is called with besides its stage."""
REFUSED = re.compile(r"not\s+authorized\s+to\s+perform|AccessDenied|UnauthorizedOperation")
ENDS = ("twin delete", "twin ci rollback", "twin ci teardown-expired")
"""Commands whose success test_jobs_under_roles.py or the end of this module shows: the others need what they change."""


def table() -> dict[str, dict[str, str]]:
    """By command: what each role may."""
    text = (ROOT / "docs" / "delivery.md").read_text(encoding="utf-8")
    return {found[1]: dict(zip(ROLES, found.groups()[1:], strict=True)) for found in ROW.finditer(text)}


@dataclass(frozen=True)
class Operator:
    """A machine of somebody who has sessions of roles."""

    account: Account
    folder: Path

    def run(self, command: str, role: str | None, stage: str, given: str = "", options: tuple[str, ...] = ()) -> str:
        """What a command says, to a session of the role or to the account's owner."""
        if role is None:
            region = {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}
            keys: Mapping[str, str] = {**self.account.owner.variables(), **region}
        else:
            keys = self.account.session(role, ENVIRONMENTS[role])
        place = {"TWIN_STATE_ROOT": str(self.folder), "TWIN_RELEASE": DEPLOYED}
        arguments = [*command.split()[1:], "--stage", stage, *(options or OPTIONS.get(command, ()))]
        return said_by_twin({**self.account.environment(), **keys, **place}, *arguments, given=given)


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with running_account(tmp_path_factory.mktemp("aws")) as account:
        made = Operator(account, tmp_path_factory.mktemp("machine"))
        for stage in sorted(set(STAGES.values())):
            account.keep_secrets(made.folder, stage)
            built = made.run("twin ci image", None, stage, options=("--commit", DEPLOYED))
            assert "sha256:" in built, built
            said = made.run("twin deploy", None, stage)
            assert "Error" not in said, said
        yield made


def outcome(command: str, said: str) -> str:
    """What the table has for what was said."""
    if not REFUSED.search(said):
        return "yes"
    return "in part" if command == "twin doctor" and "not allowed to look" in said else "no"


def test_the_table_is_there() -> None:
    found = table()
    assert len(found) >= 14
    assert {cell for row in found.values() for cell in row.values()} == {"yes", "no", "in part"}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_runs_what_the_table_says_and_nothing_else(operator: Operator, role: str) -> None:
    found = {}
    expected = {command: row[role] for command, row in table().items()}
    for command, cell in expected.items():
        if command in ENDS and cell == "yes":
            continue
        said = operator.run(command, role, STAGES[role], given="a-key")
        found[command] = outcome(command, said)
        if found[command] != cell:
            print(f"$ {command} ({role})\n{said[-1500:]}")
    assert found == {command: expected[command] for command in found}


def test_both_roles_that_delete_take_expired_previews_down(operator: Operator) -> None:
    """The last of this module: it takes the preview away."""
    command, stacks = "twin ci teardown-expired", operator.account.client("cloudformation")
    assert "0 survivors of pr-7." in operator.run(command, "preview", "dev")
    template = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})
    stacks.create_stack(StackName="twin-pr-8-guard", TemplateBody=template)
    stacks.get_waiter("stack_create_complete").wait(StackName="twin-pr-8-guard", WaiterConfig={"Delay": 1})
    assert "0 survivors of pr-8." in operator.run(command, "teardown", "dev")
