"""`twin delete`: takes a stage down in order, removes what AWS leaves behind, and proves that nothing is left.

The program runs on the operator's machine and talks to AWS's APIs with the operator's credentials; stacks are deleted
by CloudFormation. Nothing is remembered between runs: what there is to do is read from AWS each time, so a run that
was interrupted is finished by the next one, and a run over nothing changes nothing.

1. Protection: a stack that is protected against deletion ends the run before anything is removed, with the command
   that lifts the protection. Then ownership (`twin/inventory/ownership.py`): a resource is the stage's own by its tags,
   by the history of its stacks or by its name. `--keep vectors` takes that stack, the stacks that it uses, and what
   they hold out of the deletion.
2. Inference components are deleted first, and waited for: SageMaker deletes no endpoint that still holds one. One that
   is being created, woken or scaled refuses its deletion and is asked again every few seconds. An endpoint that is
   created or updated is waited for as well.
3. What blocks a deletion is emptied: buckets, image repositories, network interfaces that nothing uses
   (`leftovers.py`: each kind of resource with how to find, empty and remove it).
4. Stacks (`stacks.py`, `stack_deletion.py`): those that no other stack uses go first, several at the same time. The
   order is read from the deployed templates, because CloudFormation guards exports but not `Fn::GetStackOutput`.
5. Leftovers: what AWS is known to leave after a stack is gone, such as log groups that were written to once more.
6. Survivors (`twin/inventory/survivors.py`): every service that the stacks touch is asked what it has of the stage.
   Steps 5 and 6 are repeated for a minute while deletions settle, and for an hour at most while AWS still deletes: the
   stacks are deleted in express mode, which returns before distributions and interfaces are gone. An empty list is the
   proof; the last list is the result.

When something fails:

- A stack that ends as DELETE_FAILED is deleted again after step 3 and a pause that grows; after four attempts it is
  left for the list of survivors, with CloudFormation's reason. What fails because something is still in use is tried
  for an hour: a stack that is gone may have left an interface in the network of the next.
- A leftover that cannot be removed yet is reported and tried again; in the end it is in the list.

`plan.py` lists the same removals without making one (`--dry-run`). The command itself is `cli.py`: exit code 1 with
survivors; without any it also stops the local cloud of stage `local`. docs/deletion.md describes it for operators.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection

from botocore.exceptions import ClientError

from twin.delete.leftovers import COMPONENTS, LEFTOVERS, Leftover, endpoints_in_transition
from twin.delete.stack_deletion import StackDeletion
from twin.delete.stacks import existing_stacks, kept_stacks, refuse_protected
from twin.inventory.ownership import Ownership, read_ownership
from twin.inventory.survivors import Survivor, survivors
from twin.target.deployment import key_file
from twin.target.progress import Progress
from twin.target.stage import Stage

SETTLE_SECONDS = 60.0
GOING_SECONDS = 3600.0
"""How long the proof waits for what AWS is still deleting: interfaces of Lambda were seen to stay for 45 minutes,
https://github.com/serverless/serverless/issues/7633."""
COMPONENT_SECONDS = 1200.0
POLL_SECONDS = 5.0


def delete(
    stage: Stage,
    progress: Progress,
    *,
    keep: Collection[str] = (),
) -> list[Survivor]:
    """Delete everything of the stage but what `keep` names, and list what survives; idempotent.

    Returns:
        The survivors; an empty list is the proof.

    Raises:
        TwinError: when `keep` names what cannot be kept, or a stack is protected against deletion.
    """
    kept = kept_stacks(stage, keep)
    left = take_down(stage, kept, progress)
    if not left and not kept:
        key_file(stage).unlink(missing_ok=True)
    return left


def take_down(stage: Stage, kept: Collection[str], progress: Progress) -> list[Survivor]:
    """Delete everything of the stage but the stacks called `kept`, and list what survives.

    Raises:
        TwinError: when a stack is protected against deletion.
    """
    refuse_protected(stack for name, stack in existing_stacks(stage).items() if name not in kept)
    own = read_ownership(stage, kept)
    for name in sorted(kept):
        progress(f"{name:<24} kept")
    _delete_components(own, progress)
    _await_endpoints(own, progress)
    _empty_all(own, progress)
    StackDeletion(stage, kept, lambda: _empty_all(own, progress), progress, POLL_SECONDS).run()
    return _sweep(read_ownership(stage, kept), progress)


def _delete_components(own: Ownership, progress: Progress) -> None:
    """Ask until every component is gone: SageMaker refuses to delete one while it is created or its copies change."""
    clock = own.stage.clock
    deadline = clock.deadline(COMPONENT_SECONDS)
    said: dict[str, str] = {}
    while names := COMPONENTS.find(own):
        for name in names:
            outcome = _ask_for_deletion(own, name)
            if said.get(name) != outcome:
                progress(f"{COMPONENTS.kind:<24} {name}: {outcome}")
            said[name] = outcome
        if deadline.passed:
            return
        clock.sleep(POLL_SECONDS)


def _await_endpoints(own: Ownership, progress: Progress) -> None:
    """Wait until no endpoint is created or updated any more: CloudFormation's attempts would be used up before."""
    clock = own.stage.clock
    deadline = clock.deadline(COMPONENT_SECONDS)
    said: dict[str, str] = {}
    while (busy := endpoints_in_transition(own)) and not deadline.passed:
        for name, status in busy.items():
            if said.get(name) != status:
                progress(f"{'endpoint':<24} {name}: {status}, and not deleted before that ends")
        said = busy
        clock.sleep(POLL_SECONDS)


def _ask_for_deletion(own: Ownership, component: str) -> str:
    """What SageMaker answers, in words.

    Raises:
        ClientError: for another reason than the component's state, such as a right that is missing.
    """
    try:
        COMPONENTS.remove(own, component)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationException":
            raise
        return str(error.response["Error"]["Message"])
    return "deleting"


def _empty_all(own: Ownership, progress: Progress) -> None:
    for each in LEFTOVERS:
        for name in each.find(own) if each.empty else ():
            assert each.empty is not None  # noqa: S101 - asked for above
            _tried(f"{each.kind:<24} {name}", "emptied", progress, each.empty, own, name)


def _sweep(own: Ownership, progress: Progress) -> list[Survivor]:
    """Delete leftovers and list survivors, repeatedly: services write logs and release interfaces after the stacks.

    In express mode CloudFormation is done before AWS is: what is still being deleted is waited for, and named.
    """
    clock, said = own.stage.clock, ""
    longest, settled = clock.deadline(GOING_SECONDS), clock.deadline(SETTLE_SECONDS)
    while True:
        for each in LEFTOVERS:
            _remove(each, own, progress)
        left = survivors(own.stage, own)
        if any(each.going for each in left) and not longest.passed:
            settled = clock.deadline(SETTLE_SECONDS)
        # A stack that still exists was tried often enough.
        if not left or settled.passed or any(each.kind == "stack" for each in left):
            return left
        if (waiting := _waiting(left)) != said:
            progress(waiting)
            said = waiting
        clock.sleep(10 * POLL_SECONDS)


def _waiting(left: Collection[Survivor]) -> str:
    """What the proof waits for: how many of each kind."""
    kinds = Counter(each.kind for each in left)
    counted = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
    return f"{'waiting':<24} until AWS has deleted: {counted}"


def _remove(leftover: Leftover, own: Ownership, progress: Progress) -> None:
    for name in leftover.find(own):
        _tried(f"{leftover.kind:<24} {name}", "removed", progress, leftover.remove, own, name)


def _tried(
    what: str, done: str, progress: Progress, take: Callable[[Ownership, str], None], own: Ownership, name: str
) -> None:
    """Do it or say why not: what is still in use, or belongs to AWS, must not keep the rest from being deleted.

    A network interface of Fargate or a load balancer carries no tags of the stage, so that a role whose right depends
    on them is refused: AWS removes such an interface itself, some minutes after its user is gone. A later round tries
    again, and the last one lists what is left.
    """
    try:
        take(own, name)
    except ClientError as error:
        progress(f"{what}: {error.response['Error']['Message']}")
    else:
        progress(f"{what} {done}")
