"""Metrics (Prometheus, CloudWatch) and error reports (Sentry)."""
