"""The Opik client of a Lambda process."""

from __future__ import annotations

import opik

from services.evaluation.settings import OpikSettings
from services.evaluation.storage.secret_values import read_secret


def connect(settings: OpikSettings) -> opik.Opik:
    """A client for the settings, which also becomes the one that `opik.evaluation` uses.

    Raises:
        SecretUnavailableError: the API key cannot be read.
    """
    client = opik.Opik(
        project_name=settings.opik_project_name,
        workspace=settings.opik_workspace,
        host=settings.opik_url_override,
        api_key=read_secret(settings.opik_api_key_secret_arn),
        _show_misconfiguration_message=False,
    )
    opik.set_global_client(client)
    return client
