"""The delivery stack: trust in GitHub's tokens, and permissions of each role."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from infra.constructs.delivery.actions import LISTS
from infra.settings.deployment import SettingsError, load_settings
from twin.cost import assembly, prices
from twin.cost.assumptions import parse
from twin.cost.estimate import estimate
from twin.inventory.listings import LISTINGS, SCALED

from .conftest import Synthesize, Template, only, resources
from .test_templates import listed, violations

REPOSITORY = "octo-lab/llm-twin"
ISSUER = "token.actions.githubusercontent.com"
WITHOUT_RESOURCE = r"(ecr:GetAuthorizationToken|ecs:DeregisterTaskDefinition|budgets:ViewBudget|tag:GetResources)$"
READS = rf"[a-z0-9-]+:(List|Describe)[A-Za-z]+$|servicequotas:Get[A-Za-z]+$|{WITHOUT_RESOURCE}"
WORKFLOWS = ("preview", "deploy", "teardown", "evaluate")
VARIABLES = {"TWIN_DELIVERY__REPOSITORY": REPOSITORY}
PROVIDER = f"arn:aws:iam::123456789012:oidc-provider/{ISSUER}"
EVERY_WORKFLOW = pytest.mark.parametrize("workflow", WORKFLOWS)


def stack(output: Path) -> Template:
    found: Template = json.loads((output / "twin-delivery.template.json").read_text())
    return found


@pytest.fixture(scope="session")
def assembled(synthesize: Synthesize) -> Path:
    return synthesize("dev", VARIABLES)


@pytest.fixture(scope="session")
def template(assembled: Path) -> Template:
    return stack(assembled)


@pytest.fixture(scope="module")
def told(synthesize: Synthesize) -> Template:
    """The stack of an account that has a provider and a bootstrap of its own, for a repository whose ids are known."""
    ids = {
        "TWIN_DELIVERY__OWNER_ID": "11",
        "TWIN_DELIVERY__REPOSITORY_ID": "22",
        "TWIN_DELIVERY__QUALIFIER": "other1",
    }
    return stack(synthesize("dev", {**VARIABLES, **ids, "TWIN_DELIVERY__PROVIDER_ARN": PROVIDER}))


def role(template: Template, workflow: str) -> Template:
    (found,) = [
        each["Properties"]
        for each in resources(template, "IAM::Role").values()
        if each["Properties"]["RoleName"] == f"twin-delivery-{workflow}"
    ]
    properties: Template = found
    return properties


def conditions(template: Template, workflow: str) -> dict[str, dict[str, Any]]:
    (statement,) = role(template, workflow)["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    found: dict[str, dict[str, Any]] = statement["Condition"]
    return found


def admits(template: Template, workflow: str, claims: dict[str, str]) -> bool:
    """What STS decides: each named claim must be there and match one of its values."""
    for operator, wanted in conditions(template, workflow).items():
        for key, values in wanted.items():
            claim = claims.get(key.removeprefix(f"{ISSUER}:"))
            if claim is None:
                return False
            same = fnmatchcase if operator == "StringLike" else str.__eq__
            if not any(same(claim, value) for value in listed(values)):
                return False
    return True


def token(workflow: str, environment: str, ref: str, repository: str = REPOSITORY) -> dict[str, str]:
    return {
        "aud": "sts.amazonaws.com",
        "sub": f"repo:{repository}:environment:{environment}",
        "repository": repository,
        "environment": environment,
        "ref": ref,
        "job_workflow_ref": f"{repository}/.github/workflows/{workflow}.yaml@{ref}",
    }


def text(value: Any) -> str:
    """An ARN with `<Ref>` in the place of references."""
    if isinstance(value, str):
        return value
    return "".join(part if isinstance(part, str) else f"<{part['Ref']}>" for part in value["Fn::Join"][1])


def statements(template: Template, workflow: str) -> list[Template]:
    (policy,) = [
        found["Properties"]
        for name, found in resources(template, "IAM::Policy").items()
        if name.startswith(f"{workflow.capitalize()}Role")
    ]
    found: list[Template] = policy["PolicyDocument"]["Statement"]
    return found


def granted(found: list[Template]) -> set[tuple[str, str, str]]:
    """Action, resource and condition, one by one."""
    return {
        (action, text(resource), json.dumps(statement.get("Condition"), sort_keys=True))
        for statement in found
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }


def test_no_repository_and_stage_local_have_no_delivery_stack(
    assemblies: dict[str, Path], synthesize: Synthesize
) -> None:
    for output in (assemblies["dev"], synthesize("local", VARIABLES)):
        assert not (output / "twin-delivery.template.json").exists()


def test_one_provider_without_thumbprints(template: Template) -> None:
    provider = only(template, "IAM::OIDCProvider")
    assert provider["Url"] == f"https://{ISSUER}"
    assert provider["ClientIdList"] == ["sts.amazonaws.com"]


def test_a_provider_that_the_account_has_is_used(told: Template) -> None:
    assert not resources(told, "IAM::OIDCProvider")
    assert role(told, "deploy")["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"Federated": PROVIDER}


def test_templates_and_roles_use_the_bootstrap_of_the_settings_qualifier(template: Template, told: Template) -> None:
    for stack, qualifier in ((template, "hnb659fds"), (told, "other1")):
        assert stack["Parameters"]["BootstrapVersion"]["Default"] == f"/cdk-bootstrap/{qualifier}/version"
        assert f"role/cdk-{qualifier}-deploy-role-" in json.dumps(stack)


@pytest.mark.parametrize(
    ("workflow", "environment", "ref"),
    [
        ("preview", "preview", "refs/pull/12/merge"),
        ("preview", "preview", "refs/heads/main"),
        ("deploy", "staging", "refs/heads/main"),
        ("deploy", "production", "refs/heads/main"),
        ("teardown", "teardown", "refs/heads/main"),
        ("evaluate", "evaluation", "refs/heads/main"),
    ],
)
def test_the_workflow_in_its_environment_is_trusted_and_no_other(
    template: Template, workflow: str, environment: str, ref: str
) -> None:
    good = token(workflow, environment, ref)
    assert [each for each in WORKFLOWS if admits(template, each, good)] == [workflow]


@EVERY_WORKFLOW
def test_a_token_with_one_wrong_claim_is_refused(template: Template, workflow: str) -> None:
    environment = {"deploy": "production", "evaluate": "evaluation"}.get(workflow, workflow)
    good = token(workflow, environment, "refs/heads/main")
    assert admits(template, workflow, good)
    stranger = token(workflow, environment, "refs/heads/main", "somebody/llm-twin")
    assert not admits(template, workflow, stranger)
    wrong = {
        "aud": "sigstore",
        "sub": f"repo:{REPOSITORY}:ref:refs/heads/main",
        "repository": "octo-lab/other",
        "environment": "elsewhere",
        "ref": "refs/heads/feature",
        "job_workflow_ref": f"{REPOSITORY}/.github/workflows/ci.yaml@refs/heads/main",
    }
    for claim, value in wrong.items():
        assert not admits(template, workflow, {**good, claim: value}), claim
        assert not admits(template, workflow, {name: kept for name, kept in good.items() if name != claim}), claim


def test_only_previews_are_trusted_from_a_pull_request(template: Template) -> None:
    for workflow in WORKFLOWS:
        operators = set(conditions(template, workflow))
        assert operators == ({"StringEquals", "StringLike"} if workflow == "preview" else {"StringEquals"})
        assert "*" not in json.dumps(conditions(template, workflow)["StringEquals"])


def test_ids_in_the_subject_refuse_a_repository_of_the_same_name(told: Template) -> None:
    by_name = token("teardown", "teardown", "refs/heads/main")
    with_ids = {**by_name, "sub": "repo:octo-lab@11/llm-twin@22:environment:teardown", "repository_id": "22"}
    assert admits(told, "teardown", with_ids)
    assert not admits(told, "teardown", by_name)
    assert not admits(told, "teardown", {**with_ids, "repository_id": "23"})


def test_one_id_without_the_other_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWIN_DELIVERY__OWNER_ID", "11")
    with pytest.raises(SettingsError, match="set both or none"):
        load_settings("dev")


@EVERY_WORKFLOW
def test_a_role_has_the_ceiling_and_never_exceeds_it(template: Template, workflow: str) -> None:
    (ceiling,) = resources(template, "IAM::ManagedPolicy")
    assert role(template, workflow)["PermissionsBoundary"] == {"Ref": ceiling}
    assert "ManagedPolicyArns" not in role(template, workflow)
    allowed = granted(only(template, "IAM::ManagedPolicy")["PolicyDocument"]["Statement"])
    # The ceiling names any stage of the project, a role its own.
    for action, resource, _ in granted(statements(template, workflow)):
        patterns = [pattern for permitted, pattern, _ in allowed if permitted == action]
        assert any(fnmatchcase(resource, pattern) for pattern in patterns), (action, resource)


@EVERY_WORKFLOW
def test_actions_are_named_and_resources_are_the_projects(template: Template, workflow: str) -> None:
    ours = re.compile(
        r"arn:aws:("
        r"cloudformation:\S+:stack/(twin-[a-z*-]+-\*|CDKToolkit)/\*"
        r"|iam::<AWS::AccountId>:role/cdk-hnb659fds-(deploy|lookup|file-publishing|image-publishing)-role-\S+"
        r"|iam::<AWS::AccountId>:role/twin-[a-z*-]+-business-Ingest\*"
        r"|ecs:\S+:task-definition/twin-[a-z*-]+-business-ingest:\*"
        r"|lambda:\S+:function:twin-[a-z*-]+-evaluation-\*"
        r"|ssm:\S+:parameter/(cdk-bootstrap/hnb659fds/version|twin-delivery/[a-z]+/\*)"
        r"|ecr:\S+:repository/llm-twin/(rag|preview)"
        r"|ecr:\S+:763104351884:repository/vllm"
        r"|sns:\S+:twin-[a-z*-]+-\*"
        r"|(sagemaker|ecs|ecr):\S+:[a-z-]+/twin-[a-z*-]+-\*"
        r"|s3:::twin-[a-z*-]+-\*(/\*)?"
        r"|logs:\S+:log-group:\*twin-[a-z*-]+-\*)"
    )
    unnamed = re.compile(r"arn:aws:(secretsmanager|ec2|application-autoscaling):\S+\*")
    for action, resource, condition in granted(statements(template, workflow)):
        assert "*" not in action
        if resource == "*":
            assert re.match(READS, action), action
        elif unnamed.fullmatch(resource):
            assert "aws:ResourceTag/stage" in condition
            assert '"aws:ResourceTag/project": "llm-twin"' in condition
        else:
            assert ours.fullmatch(resource), resource


def test_nothing_makes_resources_but_a_template_and_only_a_teardown_removes_any(template: Template) -> None:
    """But the task of the ingest, which a template declares, may be run with the roles that it has, and copies set."""
    allowed = {"ecs:RunTask", "ecs:TagResource", "iam:PassRole", "sagemaker:UpdateInferenceComponentRuntimeConfig"}
    makes = re.compile(r":(Create|Update|Attach|Detach|Pass|Tag|Untag|Run|Terminate|Modify)")
    removes = re.compile(r":(Batch)?(Delete|Deregister|Abort)")
    for workflow in WORKFLOWS:
        actions = {action for action, _, _ in granted(statements(template, workflow))}
        made = {action for action in actions if makes.search(action)}
        assert made == (allowed if workflow in {"preview", "deploy"} else set())
        assert any(removes.search(action) for action in actions) == (workflow in {"preview", "teardown"})


def test_policies_fit_into_iams_limits(template: Template) -> None:
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: characters without white space.
    def length(found: list[Template]) -> int:
        known = [{**each, "Resource": [text(one) for one in listed(each["Resource"])]} for each in found]
        told = json.dumps({"Version": "2012-10-17", "Statement": known}, separators=(",", ":"))
        return len(told.replace("<AWS::AccountId>", "1" * 12).replace("<AWS::Region>", "ap-northeast-1"))

    (ceiling,) = resources(template, "IAM::ManagedPolicy").values()
    assert length(ceiling["Properties"]["PolicyDocument"]["Statement"]) < 6144
    for workflow in WORKFLOWS:
        assert length(statements(template, workflow)) < 10240


def test_previews_reach_no_lasting_stage_and_lasting_stages_no_preview(template: Template) -> None:
    preview = json.dumps(statements(template, "preview"))
    assert "twin-pr-*" in preview
    assert not re.search(r"twin-(dev|prod)|\"(dev|prod)\"", preview)
    for workflow in ("deploy", "evaluate"):
        assert "pr-*" not in json.dumps(statements(template, workflow))


def test_images_of_pull_requests_are_apart_and_a_tag_means_one_image(template: Template) -> None:
    # The repository of lasting stages is the Image stack's (test_image.py).
    repository = only(template, "ECR::Repository")
    assert repository["RepositoryName"] == load_settings("pr-1").rag.image_repository
    assert repository["ImageTagMutability"] == "IMMUTABLE"
    assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}
    pushed = {
        workflow: {
            resource for action, resource, _ in granted(statements(template, workflow)) if action == "ecr:PutImage"
        }
        for workflow in WORKFLOWS
    }
    assert [each.rsplit("/", 1)[1] for each in pushed["preview"]] == ["preview"]
    assert [each.rsplit("/", 1)[1] for each in pushed["deploy"]] == ["rag"]
    assert pushed["teardown"] == pushed["evaluate"] == set()


def test_a_preview_has_no_stack_of_the_account(synthesize: Synthesize) -> None:
    assert not list(synthesize("pr-12", VARIABLES).glob("twin-delivery.template.json"))


def test_evaluation_cannot_deploy_and_neither_it_nor_teardown_reads_a_secret(template: Template) -> None:
    assert "sts:AssumeRole" not in {action for action, _, _ in granted(statements(template, "evaluate"))}
    for workflow in ("teardown", "evaluate"):
        actions = {action for action, _, _ in granted(statements(template, workflow))}
        assert "secretsmanager:GetSecretValue" not in actions


def test_the_proof_of_a_delete_may_list_all_that_it_looks_at() -> None:
    services = {"elbv2": "elasticloadbalancing", "stepfunctions": "states"}
    operations = {
        "list_buckets": "ListAllMyBuckets",
        "describe_budgets": "ViewBudget",
        "list_web_acls": "ListWebACLs",
    }
    needed = {
        f"{services.get(each.service, each.service)}:"
        + operations.get(each.operation, "".join(word.capitalize() for word in each.operation.split("_")))
        for each in LISTINGS
    }
    apart = {"ec2:DescribeInstances", "ecs:ListServices", "kms:ListKeys", "kms:DescribeKey", "tag:GetResources"}
    assert SCALED
    assert (needed | apart) - set(LISTS) == set()


def test_the_stack_is_protected_tagged_and_free(assembled: Path, template: Template) -> None:
    manifest = json.loads((assembled / "manifest.json").read_text())
    assert manifest["artifacts"]["twin-delivery"]["properties"]["terminationProtection"] is True
    tags = {tag["Key"]: tag["Value"] for tag in role(template, "deploy")["Tags"]}
    assert (tags["project"], tags["stage"]) == ("llm-twin", "account/delivery")
    found = estimate(assembly.read(assembled), prices.read(prices.SHIPPED), parse(()))
    assert not [line for line in found.lines if line.resource.stack == "twin-delivery"]
    assert not [remark for remark in found.unknown if remark.resource.stack == "twin-delivery"]


def test_cdk_nag_finds_nothing(assembled: Path) -> None:
    assert [rule for rule, severity in violations(assembled) if severity == "error"] == []


def test_previews_share_one_file_and_begin_with_a_copy(synthesize: Synthesize) -> None:
    preview = load_settings("pr-12")
    assert (preview.prefix, preview.llm.initial_copies, preview.guard.enabled) == ("twin-pr-12", 1, True)
    assert (synthesize("pr-12") / "twin-pr-12-llm.template.json").exists()
    with pytest.raises(SettingsError, match="has no settings"):
        load_settings("pr-0")
