"""A sink for webhooks: what the pipeline would send to Slack or Sentry is recorded and shown here."""
