"""`python -m localcloud --root DIR`: the supervisor in the foreground."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from localcloud.errors import LocalCloudError
from localcloud.supervisor import Supervisor


def main() -> int:
    """Run until SIGTERM or SIGINT. Returns the exit status: 1 after a sentence on standard error when it cannot run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder whose .local holds everything")
    root: Path = parser.parse_args().root.resolve()
    # A log that cannot be written must not cover what is said once there is room again with tracebacks.
    logging.raiseExceptions = False
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s [%(name)s] %(message)s")
    try:
        Supervisor(root).run()
    except LocalCloudError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"Error: {error.strerror} ({error.filename}).", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
