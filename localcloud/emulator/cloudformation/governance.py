"""AWS::IAM::OIDCProvider, AWS::Budgets::Budget, AWS::CloudWatch::CompositeAlarm."""

from __future__ import annotations

import copy

from ministack.core.responses import get_account_id, get_region

from localcloud.emulator.loopback import Loopback
from localcloud.emulator.registry import Created, Properties, ResourceType, physical_name


def resource_types(api: Loopback) -> dict[str, ResourceType]:
    """The three types over the IAM, Budgets and CloudWatch APIs."""
    return {
        "AWS::IAM::OIDCProvider": _oidc_provider(api),
        "AWS::Budgets::Budget": _budget(api),
        "AWS::CloudWatch::CompositeAlarm": _composite_alarm(api),
    }


def _oidc_provider(api: Loopback) -> ResourceType:
    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        wanted = {
            "Url": properties["Url"],
            "ClientIDList": properties.get("ClientIdList"),
            "ThumbprintList": properties.get("ThumbprintList") or [],
        }
        arn = api.call("iam", "CreateOpenIDConnectProvider", wanted)["OpenIDConnectProviderArn"]
        return arn, {"Arn": arn}

    def delete(arn: str, _: Properties) -> None:
        api.forget("iam", "DeleteOpenIDConnectProvider", {"OpenIDConnectProviderArn": arn})

    return ResourceType(create, delete)


def _budget(api: Loopback) -> ResourceType:
    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        budget = copy.deepcopy(properties["Budget"])
        budget.setdefault("BudgetName", physical_name(stack, logical_id))
        notifications = properties.get("NotificationsWithSubscribers", [])
        wanted = {"AccountId": get_account_id(), "Budget": budget, "NotificationsWithSubscribers": notifications}
        api.call("budgets", "CreateBudget", wanted)
        return budget["BudgetName"], {}

    def update(name: str, properties: Properties, stack: str, logical_id: str) -> Created:
        budget = {**properties["Budget"], "BudgetName": name}
        api.call("budgets", "UpdateBudget", {"AccountId": get_account_id(), "NewBudget": budget})
        return name, {}

    def delete(name: str, _: Properties) -> None:
        api.forget("budgets", "DeleteBudget", {"AccountId": get_account_id(), "BudgetName": name})

    return ResourceType(create, delete, update, immutable=("NotificationsWithSubscribers",))


def _composite_alarm(api: Loopback) -> ResourceType:
    def put(name: str, properties: Properties) -> Created:
        api.call("cloudwatch", "PutCompositeAlarm", {**properties, "AlarmName": name})
        return name, {"Arn": f"arn:aws:cloudwatch:{get_region()}:{get_account_id()}:alarm:{name}"}

    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        return put(properties.get("AlarmName") or physical_name(stack, logical_id, 255), properties)

    def delete(name: str, _: Properties) -> None:
        api.forget("cloudwatch", "DeleteAlarms", {"AlarmNames": [name]})

    return ResourceType(create, delete, lambda name, properties, *_: put(name, properties), immutable=("AlarmName",))
