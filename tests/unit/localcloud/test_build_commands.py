"""What the local CodeBuild makes of commands: nothing is run, and nothing is taken for granted."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud.emulator.services.build_commands import CommandError, Commands, copied, expanded

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/llm-twin/rag"
DOCKERFILE = "FROM a AS b\nCOPY LICENSE app/ \\\n  /app/\nCOPY --from=b /x /y\nCOPY requirements/*.txt /r/\n"


def commands(*files: str, **variables: str) -> tuple[Commands, list[str]]:
    """A build's commands over files, and the calls of AWS that they make."""
    called: list[str] = []

    def call(service: str, operation: str, _: dict[str, Any]) -> dict[str, Any]:
        called.append(f"{service}:{operation}")
        return {}

    return Commands(set(files), lambda _: DOCKERFILE, "0" * 64, call, lambda _: None, variables), called


def test_what_a_dockerfile_copies_out_of_its_context() -> None:
    assert list(copied(DOCKERFILE)) == ["LICENSE", "app", "requirements/*.txt"]


def test_variables_are_replaced_as_a_shell_does() -> None:
    known = {"URI": "host/name", "TAG": "1"}
    assert expanded('push "$URI:${TAG}" ${URI%%/*} $NONE.', known) == 'push "host/name:1" host .'


def test_an_image_is_built_logged_in_for_and_pushed_in_this_order() -> None:
    made, called = commands("D", "LICENSE", "app/a.py", "requirements/rag.txt", URI=IMAGE)
    with pytest.raises(CommandError, match="does not exist locally"):
        made.run("docker push $URI:1")
    made.run("docker build --file D --tag $URI:1 .")
    with pytest.raises(CommandError, match="Reauthenticate"):
        made.run("docker push $URI:1")
    made.run("aws ecr get-login-password | docker login --username AWS --password-stdin $URI")
    made.run("docker push $URI:1")
    assert called == ["ecr:get_authorization_token", "ecr:initiate_layer_upload", "ecr:put_image"]


@pytest.mark.parametrize(
    ("files", "command", "said"),
    [
        ((), "docker build --file D --tag t .", "failed to read dockerfile"),
        (("D", "LICENSE", "app/a.py"), "docker build --file D --tag t .", r"/requirements/\*\.txt"),
        ((), "docker push example/rag:1", "no image of ECR"),
        ((), 'test "$A" = 1', "exit status 1"),
        ((), "make everything", "make: not known"),
    ],
)
def test_a_command_that_would_fail_or_is_not_known_fails(files: tuple[str, ...], command: str, said: str) -> None:
    made, called = commands(*files)
    with pytest.raises(CommandError, match=said):
        made.run(command)
    assert called == []
