"""Slack messages for CloudWatch alarms, and the rules that decide whether they are sent."""
