"""AWS::IAM::OIDCProvider, AWS::Budgets::Budget, AWS::CloudWatch::CompositeAlarm."""

from __future__ import annotations

from typing import Any

from ministack.core.responses import get_account_id, get_region

from localcloud.emulator.cloudformation.tags import retag
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
    def call(operation: str, arn: str, **parameters: Any) -> None:
        """Call an IAM operation on the provider with this ARN."""
        api.call("iam", operation, {"OpenIDConnectProviderArn": arn, **parameters})

    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        """Physical id (the ARN) and attributes of a new provider."""
        wanted = {
            "Url": properties["Url"],
            "ClientIDList": properties.get("ClientIdList"),
            "ThumbprintList": properties.get("ThumbprintList") or [],
            "Tags": properties.get("Tags"),
        }
        arn = api.call("iam", "CreateOpenIDConnectProvider", wanted)["OpenIDConnectProviderArn"]
        return arn, {"Arn": arn}

    def update(arn: str, old: Properties, new: Properties) -> Created:
        """Physical id and attributes after client ids, thumbprints and tags were changed."""
        before, after = old.get("ClientIdList") or [], new.get("ClientIdList") or []
        for client in after:
            if client not in before:
                call("AddClientIDToOpenIDConnectProvider", arn, ClientID=client)
        for client in before:
            if client not in after:
                call("RemoveClientIDFromOpenIDConnectProvider", arn, ClientID=client)
        call("UpdateOpenIDConnectProviderThumbprint", arn, ThumbprintList=new.get("ThumbprintList") or [])
        retag(
            old,
            new,
            put=lambda tags: call("TagOpenIDConnectProvider", arn, Tags=tags),
            drop=lambda keys: call("UntagOpenIDConnectProvider", arn, TagKeys=keys),
        )
        return arn, {"Arn": arn}

    def delete(arn: str, _: Properties) -> None:
        """Delete the provider; succeeds when it does not exist."""
        api.delete("iam", "DeleteOpenIDConnectProvider", {"OpenIDConnectProviderArn": arn})

    return ResourceType(create, delete, update, immutable=("Url",))


def _budget(api: Loopback) -> ResourceType:
    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        """Physical id (the budget name, as Ref returns it on AWS) and attributes of a new budget."""
        budget = {"BudgetName": physical_name(stack, logical_id), **properties["Budget"]}
        api.call("budgets", "CreateBudget", {**properties, "AccountId": get_account_id(), "Budget": budget})
        return budget["BudgetName"], {"Id": budget["BudgetName"]}

    def update(name: str, old: Properties, new: Properties) -> Created:
        """Physical id and attributes after the budget was replaced as a whole and its tags were changed."""
        budget = {**new["Budget"], "BudgetName": name}
        api.call("budgets", "UpdateBudget", {"AccountId": get_account_id(), "NewBudget": budget})
        arn = f"arn:aws:budgets::{get_account_id()}:budget/{name}"
        retag(
            old,
            new,
            put=lambda tags: api.call("budgets", "TagResource", {"ResourceARN": arn, "ResourceTags": tags}),
            drop=lambda keys: api.call("budgets", "UntagResource", {"ResourceARN": arn, "ResourceTagKeys": keys}),
            key="ResourceTags",
        )
        return name, {"Id": name}

    def delete(name: str, _: Properties) -> None:
        """Delete the budget; succeeds when it does not exist."""
        api.delete("budgets", "DeleteBudget", {"AccountId": get_account_id(), "BudgetName": name})

    return ResourceType(create, delete, update, immutable=("Budget/BudgetName", "NotificationsWithSubscribers"))


def _composite_alarm(api: Loopback) -> ResourceType:
    def put(name: str, properties: Properties) -> Created:
        """Physical id (the alarm name) and attributes of an alarm, which PutCompositeAlarm creates or replaces."""
        api.call("cloudwatch", "PutCompositeAlarm", {**properties, "AlarmName": name})
        return name, {"Arn": f"arn:aws:cloudwatch:{get_region()}:{get_account_id()}:alarm:{name}"}

    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        """Physical id and attributes of a new alarm; a name without `AlarmName` has at most 255 characters."""
        return put(properties.get("AlarmName") or physical_name(stack, logical_id, 255), properties)

    def update(name: str, old: Properties, new: Properties) -> Created:
        """Physical id and attributes after the alarm was replaced and its tags were changed."""
        made, attributes = put(name, new)
        arn = attributes["Arn"]
        retag(
            old,
            new,
            put=lambda tags: api.call("cloudwatch", "TagResource", {"ResourceARN": arn, "Tags": tags}),
            drop=lambda keys: api.call("cloudwatch", "UntagResource", {"ResourceARN": arn, "TagKeys": keys}),
        )
        return made, attributes

    def delete(name: str, _: Properties) -> None:
        """Delete the alarm; succeeds when it does not exist."""
        api.delete("cloudwatch", "DeleteAlarms", {"AlarmNames": [name]})

    return ResourceType(create, delete, update, immutable=("AlarmName",))
