"""Checks of Lambda functions' roles; the functions themselves run inside the emulator."""

from __future__ import annotations

from localcloud.runner.aws import Aws
from localcloud.runner.grants import missing_grants, required_by_variables
from localcloud.state import ProcessState


class FunctionChecks:
    """Checks that each function's role grants what its variables reference.

    A configuration that passed is not checked again until it changes; one that failed is checked at every tick.
    """

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._checked: dict[str, tuple[str, str]] = {}

    def tick(self) -> None:
        """Check functions that are new, changed, or failed before.

        Raises:
            ClientError: the emulator refused a call.
            BotoCoreError: the emulator does not answer.
        """
        functions = {f["FunctionName"]: f for f in self._aws.pages("lambda", "list_functions", "Functions")}
        self._checked = {name: known for name, known in self._checked.items() if name in functions}
        for name, function in functions.items():
            version = f"{function['LastModified']} {function.get('RevisionId', '')}"
            known = self._checked.get(name)
            if known is not None and known[0] == version and not known[1]:
                continue
            variables = function.get("Environment", {}).get("Variables", {})
            problems = missing_grants(self._aws, function["Role"], required_by_variables(variables))
            self._checked[name] = (version, "; ".join(problems))

    def states(self) -> list[ProcessState]:
        """A failed state per function whose role lacks a grant; functions that pass have none."""
        return [
            ProcessState(name, "lambda", f"Lambda function {name}", status="failed", reason=reason)
            for name, (_, reason) in self._checked.items()
            if reason
        ]
