"""AWS::CloudFront::VpcOrigin."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from localcloud.emulator.cloudformation.tags import retag
from localcloud.emulator.loopback import Loopback
from localcloud.emulator.registry import Created, Properties, ResourceType

DEFAULTS = {
    "HTTPPort": 80,
    "HTTPSPort": 443,
    "OriginProtocolPolicy": "match-viewer",
    "OriginSSLProtocols": ["TLSv1", "SSLv3"],
}
"""Defaults of the type's public schema for properties that a template leaves out."""


def resource_types(api: Loopback) -> dict[str, ResourceType]:
    """The type over the CloudFront API."""
    return {"AWS::CloudFront::VpcOrigin": _vpc_origin(api)}


def _vpc_origin(api: Loopback) -> ResourceType:
    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        """Physical id (the VPC origin id) and attributes of a new origin."""
        tags = {"Items": properties["Tags"]} if properties.get("Tags") else None
        made = api.call("cloudfront", "CreateVpcOrigin", {"VpcOriginEndpointConfig": _config(properties), "Tags": tags})
        return _created(made["VpcOrigin"])

    def update(origin: str, old: Properties, new: Properties) -> Created:
        """Physical id and attributes after configuration and tags were changed in place.

        Raises:
            ClientError: the origin does not exist.
        """
        found = api.call("cloudfront", "GetVpcOrigin", {"Id": origin})
        if _config(old) != _config(new):
            wanted = {"Id": origin, "IfMatch": found["ETag"], "VpcOriginEndpointConfig": _config(new)}
            api.call("cloudfront", "UpdateVpcOrigin", wanted)
        arn = found["VpcOrigin"]["Arn"]
        retag(
            old,
            new,
            put=lambda tags: api.call("cloudfront", "TagResource", {"Resource": arn, "Tags": {"Items": tags}}),
            drop=lambda keys: api.call("cloudfront", "UntagResource", {"Resource": arn, "TagKeys": {"Items": keys}}),
        )
        return _created(found["VpcOrigin"])

    def delete(origin: str, _: Properties) -> None:
        """Delete the origin; succeeds when it does not exist.

        Raises:
            ClientError: any other error of the CloudFront API.
        """
        try:
            tag = api.call("cloudfront", "GetVpcOrigin", {"Id": origin})["ETag"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "EntityNotFound":
                raise
            return
        api.call("cloudfront", "DeleteVpcOrigin", {"Id": origin, "IfMatch": tag})

    # Everything changes in place, as far as no distribution uses the origin.
    return ResourceType(create, delete, update, immutable=())


def _config(properties: Properties) -> dict[str, Any]:
    """The API's form of the endpoint's configuration."""
    config = {**DEFAULTS, **properties["VpcOriginEndpointConfig"]}
    protocols = config.pop("OriginSSLProtocols")
    return {**config, "OriginSslProtocols": {"Quantity": len(protocols), "Items": protocols}}


def _created(origin: dict[str, Any]) -> Created:
    return origin["Id"], {"Id": origin["Id"], "Arn": origin["Arn"]}
