"""What a platform tells its processes about AWS, for tests."""

from __future__ import annotations


def aws_environment(url: str, region: str = "us-east-1") -> dict[str, str]:
    """Environment of a process whose AWS is the emulator, or a fake, at `url`."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "NO_PROXY": "127.0.0.1",
    }
