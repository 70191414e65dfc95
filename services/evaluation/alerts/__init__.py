"""From a CloudWatch alarm to a Slack message."""
