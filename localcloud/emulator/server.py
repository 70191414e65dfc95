"""Server of MiniStack that ends its Lambda workers, too."""

from __future__ import annotations

import asyncio
import errno
import re
import resource
import signal
from typing import cast

from hypercorn.asyncio import serve as serve_asgi
from hypercorn.config import Config
from hypercorn.typing import ASGIFramework
from ministack.core import lambda_runtime

from localcloud.emulator import long_polls
from localcloud.emulator.cloudformation import stack_times
from localcloud.emulator.front import Front
from localcloud.emulator.rules.enforcement import Rules
from localcloud.perimeter import Perimeter

KEEP_ALIVE_SECONDS = 75
CLOUDFRONT = re.compile(r"[a-z0-9]{1,63}\.cloudfront\.net", re.IGNORECASE)
"""Domains of distributions, which belong to AWS: no page can make one of them resolve to this machine."""


def serve(host: str, port: int, log_level: str, rules: Rules) -> None:
    """Serve on `host`:`port` until SIGTERM or SIGINT; calls that AWS refuses by one of the rules are refused.

    MiniStack 1.5.33's own server leaves a Lambda worker running that is busy with a function, and does not end while a
    caller waits for one; this one kills the workers first.

    Raises:
        SystemExit: the address is taken or not this machine's.
    """
    _allow_many_connections()
    config = Config()
    config.bind = [f"{host}:{port}"]
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    config.loglevel = log_level
    try:
        asyncio.run(_serve(config, rules))
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
            raise
        raise SystemExit(f"The emulator cannot listen on {host}:{port}: {error.strerror}.") from error
    finally:
        # Kills the workers that requests accepted before the signal have started meanwhile.
        lambda_runtime.reset()


async def _serve(config: Config, rules: Rules) -> None:
    stop_requested = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop_requested.set)

    async def stop() -> None:
        """Return when serving must end: after a signal, once held calls are answered and Lambda workers are killed."""
        await stop_requested.wait()
        long_polls.stop()
        stack_times.stop()
        await asyncio.to_thread(lambda_runtime.reset)

    guarded = cast(ASGIFramework, Perimeter(Front(rules), names=CLOUDFRONT))
    await serve_asgi(guarded, config, shutdown_trigger=stop)


def _allow_many_connections() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
