"""Timeouts and retries of clients of AWS's control services."""

from __future__ import annotations

from botocore.config import Config

# Short limits, so that neither a check nor a shutdown waits for a service that hangs.
AWS_CONFIG = Config(connect_timeout=2, read_timeout=4, retries={"mode": "standard", "total_max_attempts": 2})
