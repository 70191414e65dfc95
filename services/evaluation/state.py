"""State of the Lambdas between calls: one DynamoDB table, whose conditional writes let one of several callers win.

Every entry has the attribute `key` and, where it may be deleted, `expires` (epoch seconds). DynamoDB removes expired
entries within days, so every condition here compares the time itself.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.exceptions import ClientError

_REFUSED = "ConditionalCheckFailedException"


class State:
    """Operations on the table. Every method raises botocore's ClientError when DynamoDB refuses the call itself."""

    def __init__(self, table_name: str) -> None:
        """Make a DynamoDB client; nothing is called yet."""
        self._table = table_name
        self._client = boto3.client("dynamodb")

    def put_if_free(self, key: str, holder: str, seconds: float) -> bool:
        """Take `key` for `holder` and `seconds`; False while another holder has it.

        A holder that takes its own key again prolongs it to `seconds` from now and removes the mark of `ask_holder`.
        """
        now = time.time()
        return self._update(
            key,
            "SET holder = :holder, expires = :expires REMOVE asked",
            "attribute_not_exists(#key) OR expires < :now OR holder = :holder",
            {":holder": {"S": holder}, ":expires": _number(now + seconds), ":now": _number(now)},
        )

    def ask_holder(self, key: str) -> bool:
        """Leave a mark for the present holder of `key`; False when it has none."""
        values = {":yes": {"BOOL": True}, ":now": _number(time.time())}
        return self._update(key, "SET asked = :yes", "expires >= :now", values)

    def free(self, key: str, holder: str, *, unless_asked: bool = False) -> bool:
        """Release `key`; False when the holder had lost it or, with `unless_asked`, found the mark of `ask_holder`."""
        condition = "holder = :holder" + (" AND attribute_not_exists(asked)" if unless_asked else "")
        try:
            self._client.delete_item(
                TableName=self._table,
                Key=_key(key),
                ConditionExpression=condition,
                ExpressionAttributeValues={":holder": {"S": holder}},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != _REFUSED:
                raise
            return False
        return True

    def add(self, key: str, number: int, seconds: float | None = None) -> int:
        """Add to a counter that starts at 0 and expires `seconds` after its last change; returns its new value."""
        return self.add_each(key, {"amount": number}, seconds)["amount"]

    def add_each(self, key: str, amounts: Mapping[str, int], seconds: float | None = None) -> dict[str, int]:
        """Add to several counters of `key` at once; their new values."""
        names = {f"#{index}": name for index, name in enumerate(amounts)}
        values = {f":{index}": _number(amount) for index, amount in enumerate(amounts.values())}
        expression = "ADD " + ", ".join(f"#{index} :{index}" for index in range(len(amounts)))
        if seconds is not None:
            expression, values = f"{expression} SET expires = :expires", {**values, ":expires": _after(seconds)}
        answer = self._client.update_item(
            TableName=self._table,
            Key=_key(key),
            UpdateExpression=expression,
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
            ReturnValues="UPDATED_NEW",
        )
        return {name: int(answer["Attributes"][name]["N"]) for name in amounts}

    def counters(self, key: str) -> dict[str, int]:
        """The counters of `key`, by name."""
        item = self._client.get_item(TableName=self._table, Key=_key(key), ConsistentRead=True).get("Item") or {}
        return {name: int(value["N"]) for name, value in item.items() if "N" in value and name != "expires"}

    def read(self, key: str) -> Any:
        """The JSON value of `key`, or None."""
        item = self._client.get_item(TableName=self._table, Key=_key(key), ConsistentRead=True).get("Item") or {}
        return json.loads(item["document"]["S"]) if "document" in item and not _is_expired(item) else None

    def write(self, key: str, value: Any, seconds: float) -> None:
        """Keep a JSON value of at most 400 KB for `seconds`."""
        item = {**_key(key), "document": {"S": json.dumps(value)}, "expires": _after(seconds)}
        self._client.put_item(TableName=self._table, Item=item)

    def _update(self, key: str, expression: str, condition: str, values: dict[str, Any]) -> bool:
        names = {"ExpressionAttributeNames": {"#key": "key"}} if "#key" in condition else {}
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_key(key),
                UpdateExpression=expression,
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
                **names,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != _REFUSED:
                raise
            return False
        return True


def _key(key: str) -> dict[str, Any]:
    return {"key": {"S": key}}


def _number(value: float) -> dict[str, str]:
    return {"N": f"{value:.0f}"}


def _after(seconds: float) -> dict[str, str]:
    return _number(time.time() + seconds)


def _is_expired(item: dict[str, Any]) -> bool:
    return float(item.get("expires", {}).get("N", "inf")) < time.time()
