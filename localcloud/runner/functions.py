"""Lambda functions run inside the emulator; here only their roles are checked."""

from __future__ import annotations

from localcloud.runner.aws import Aws
from localcloud.runner.grants import missing_grants, variable_needs
from localcloud.state import ProcessState


class FunctionChecks:
    """Looks at each configuration of each function once."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._checked: dict[str, tuple[str, str]] = {}

    def tick(self) -> None:
        """Check what is new or changed."""
        functions = {f["FunctionName"]: f for f in self._aws.pages("lambda", "list_functions", "Functions")}
        self._checked = {name: known for name, known in self._checked.items() if name in functions}
        for name, function in functions.items():
            version = f"{function['LastModified']} {function.get('RevisionId', '')}"
            known = self._checked.get(name)
            if known is not None and known[0] == version and not known[1]:
                continue
            variables = function.get("Environment", {}).get("Variables", {})
            problems = missing_grants(self._aws, function["Role"], variable_needs(variables))
            self._checked[name] = (version, "; ".join(problems))

    def states(self) -> list[ProcessState]:
        """Functions whose roles do not grant what their variables reference."""
        return [
            ProcessState(name, "lambda", f"Lambda function {name}", status="failed", reason=reason)
            for name, (_, reason) in self._checked.items()
            if reason
        ]
