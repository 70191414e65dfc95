"""Offline evaluation: a dataset's questions asked anew, judged, recorded and compared."""

import os

# Opik's SDK reads these when it is imported, and reports to its makers unless told otherwise.
for _name, _value in {
    "OPIK_SENTRY_ENABLE": "false",
    "OPIK_ANALYTICS_ENABLE": "false",
    "OPIK_LOG_START_TRACE_SPAN": "false",
    "OPIK_DEFAULT_FLUSH_TIMEOUT": "5",
}.items():
    os.environ.setdefault(_name, _value)
