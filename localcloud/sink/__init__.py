"""Webhook sink: records what the pipeline would send to Slack or Sentry, and shows it on a page."""
