"""CloudFront's limits and addresses, for an API behind it."""

from __future__ import annotations

from collections.abc import Mapping

CERTIFICATE_REGION = "us-east-1"
"""Region of CloudFront's certificates, for origins of any region:
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cnames-and-https-requirements.html."""
MOST_READ_SECONDS = 120
"""Longest origin response timeout, for the first byte and between two reads, at the default quota:
https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_VpcOriginConfig.html."""
PREFIX_LIST = "com.amazonaws.global.cloudfront.origin-facing"
"""AWS's own list of the addresses from which CloudFront calls origins, also through a VPC origin:
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-vpc-origins.html."""
ORIGIN_FACING: Mapping[str, str] = {
    "ap-northeast-1": "pl-58a04531",
    "ap-northeast-2": "pl-22a6434b",
    "ap-south-1": "pl-9aa247f3",
    "ap-southeast-1": "pl-31a34658",
    "ap-southeast-2": "pl-b8a742d1",
    "ca-central-1": "pl-38a64351",
    "eu-central-1": "pl-a3a144ca",
    "eu-north-1": "pl-fab65393",
    "eu-west-1": "pl-4fa04526",
    "eu-west-2": "pl-93a247fa",
    "eu-west-3": "pl-75b1541c",
    "sa-east-1": "pl-5da64334",
    "us-east-1": "pl-3b927c52",
    "us-east-2": "pl-b6a144df",
    "us-west-1": "pl-4ea04527",
    "us-west-2": "pl-82a045eb",
}
"""Id of that list by region, the same in every account, so that no synthesis asks AWS for it:
https://aws.amazon.com/blogs/networking-and-content-delivery/limit-access-to-your-origins-using-the-aws-managed-prefix-list-for-amazon-cloudfront/."""
WITHOUT_VPC_ORIGINS = frozenset({"use1-az3", "usw1-az2", "apne1-az3", "apne2-az1", "cac1-az3"})
"""Ids of the zones that CloudFront's VPC origins cannot reach, in regions that otherwise have them:
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-vpc-origins.html."""
