"""The monthly budget: costs, thresholds, and permission to publish its notifications."""

from __future__ import annotations

import pytest

from infra.settings.deployment import SettingsError, load_settings

from .conftest import Synthesize, Template, Templates, only, read, resources

BUDGETS = {"Service": "budgets.amazonaws.com"}


def statements(template: Template) -> list[Template]:
    """What the policies of the alerts' topic and key say about AWS Budgets."""
    topic = only(template, "SNS::TopicPolicy")["PolicyDocument"]["Statement"]
    key = only(template, "KMS::Key")["KeyPolicy"]["Statement"]
    return [statement for statement in (*topic, *key) if statement["Principal"] == BUDGETS]


@pytest.fixture(scope="module")
def changed(synthesize: Synthesize) -> Templates:
    """A stage whose budget counts the stage alone."""
    return read(
        synthesize("local", {"TWIN_GUARD__BUDGET_OF": "stage", "TWIN_GUARD__MONTHLY_BUDGET_USD": "12.5"}), "local"
    )


def test_the_topic_is_notified_when_most_is_spent_and_when_too_much_is_forecast(dev: Templates) -> None:
    properties = only(dev["guard"], "Budgets::Budget")
    assert properties["Budget"] == {
        "BudgetType": "COST",
        "TimeUnit": "MONTHLY",
        "BudgetLimit": {"Amount": 400, "Unit": "USD"},
    }
    told = properties["NotificationsWithSubscribers"]
    seen = [(each["Notification"]["NotificationType"], each["Notification"]["Threshold"]) for each in told]
    assert seen == [("ACTUAL", 80), ("FORECASTED", 100), ("ACTUAL", 100)]
    for each, topic in zip(told, ("AlertsTopic", "AlertsTopic", "KillSwitchTopic"), strict=True):
        (subscriber,) = each["Subscribers"]
        assert subscriber["SubscriptionType"] == "SNS" and topic in str(subscriber["Address"])
        assert each["Notification"]["ThresholdType"] == "PERCENTAGE"
    assert {"Key": "stage", "Value": "dev"} in properties["ResourceTags"]


def test_budgets_of_this_account_alone_may_publish_and_encrypt(dev: Templates) -> None:
    found = statements(dev["evaluation"])
    assert [statement["Action"] for statement in found] == ["sns:Publish", ["kms:Decrypt", "kms:GenerateDataKey*"]]
    for statement in found:
        account = {"Ref": "AWS::AccountId"}
        assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": account}
        arn = statement["Condition"]["ArnLike"]["aws:SourceArn"]["Fn::Join"][1]
        assert arn == ["arn:aws:budgets::", account, ":*"]


def test_only_a_spent_budget_triggers_the_kill_switch(templates: dict[str, Templates]) -> None:
    guard = templates["dev"]["guard"]
    ((topic, switch),) = resources(guard, "SNS::Topic").items()
    assert "AlertsKey" in str(switch["Properties"]["KmsMasterKeyId"])
    subscription = only(guard, "SNS::Subscription")
    assert subscription["TopicArn"] == {"Ref": topic}
    assert "StopSpending" in str(subscription["Endpoint"])
    said = only(guard, "SNS::TopicPolicy")["PolicyDocument"]["Statement"]
    (allowed,) = [statement for statement in said if statement["Effect"] == "Allow"]
    assert (allowed["Principal"], allowed["Action"]) == (BUDGETS, "sns:Publish")
    assert "aws:SourceAccount" in str(allowed["Condition"]) and ":budgets::" in str(allowed["Condition"])
    (budget,) = resources(guard, "Budgets::Budget").values()
    assert set(resources(guard, "SNS::TopicPolicy")) <= set(budget["DependsOn"])


def test_production_has_no_kill_switch_by_default(templates: dict[str, Templates]) -> None:
    guard = templates["prod"]["guard"]
    told = only(guard, "Budgets::Budget")["NotificationsWithSubscribers"]
    assert [each["Notification"]["Threshold"] for each in told] == [80, 100]
    assert resources(guard, "SNS::Topic") == {}


def test_a_switch_without_a_budget_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWIN_GUARD__KILL_SWITCH", "true")
    with pytest.raises(SettingsError, match="kill_switch needs monthly_budget_usd"):
        load_settings("standard")


def test_a_budget_of_the_stage_counts_what_carries_its_tag(changed: Templates) -> None:
    budget = only(changed["guard"], "Budgets::Budget")["Budget"]
    assert budget["CostFilters"] == {"TagKeyValue": ["user:stage$local"]}
    assert budget["BudgetLimit"]["Amount"] == 12.5


def test_previews_have_no_budget_and_budgets_may_not_publish_there(synthesize: Synthesize) -> None:
    templates = read(synthesize("pr-12"), "pr-12")
    assert resources(templates["guard"], "Budgets::Budget") == {}
    assert statements(templates["evaluation"]) == []
    assert resources(templates["evaluation"], "CloudWatch::Dashboard") == {}, "deleted before a dashboard is of use"
