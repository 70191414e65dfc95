"""`twin cost`: what a stage costs, before it is deployed."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from infra.settings.deployment import SettingsError, load_settings
from twin.cost import assembly, prices, refresh
from twin.cost.assembly import Assembly
from twin.cost.assumptions import parse
from twin.cost.diff import Diff, diff
from twin.cost.estimate import Estimate, estimate, needed
from twin.target import cdk
from twin.target.errors import TwinError
from twin.target.progress import Progress


def templates(stage: str, folder: Path | None = None) -> Assembly:
    """The templates of a stage: synthesized apart from `cdk.out`, or read from `folder`.

    Raises:
        TwinError: for a stage without settings, a failed synthesis, and a folder that is no cloud assembly.
    """
    if folder is not None:
        return assembly.read(folder)
    try:
        load_settings(stage)
    except SettingsError as error:
        raise TwinError(str(error)) from None
    with tempfile.TemporaryDirectory(prefix="twin-cost-") as output:
        cdk.synth(stage, {}, Path(output))
        return assembly.read(Path(output))


def cost(found: Assembly, assumed: Sequence[str] = ()) -> Estimate:
    """Price an assembly under assumptions given as `name=value`.

    Raises:
        TwinError: for a wrong assumption or an unreadable price table.
    """
    return estimate(found, prices.load(), parse(assumed))


def compare(base: Path, found: Assembly, assumed: Sequence[str] = ()) -> Diff:
    """The price of `found` against that of the cloud assembly in `base`, under the same prices and assumptions.

    Raises:
        TwinError: when `base` is no cloud assembly, and as `cost` does.
    """
    return diff(cost(assembly.read(base), assumed), cost(found, assumed))


def refresh_prices(found: Assembly, progress: Progress) -> list[refresh.Refresh]:
    """Fetch what the assembly needs from the Price List API, and keep it on this machine for every later run.

    Raises:
        TwinError: when the credentials may not read prices.
    """
    table, today = prices.load(), datetime.now(UTC).date()
    wanted = needed(found, parse(()))
    brought = [refresh.refresh(keys, region, table, today, progress) for region, keys in sorted(wanted.items())]
    fresh = prices.PriceTable(price for each in brought for price in each.prices)
    before = prices.read(prices.REFRESHED) if prices.REFRESHED.exists() else prices.PriceTable(())
    prices.write(fresh.over(before), prices.REFRESHED)
    return brought


def built_in(stage: str) -> str | None:
    """Region in which a stage's image is built; None for an image that is built elsewhere.

    Raises:
        TwinError: the settings are wrong.
    """
    try:
        settings = load_settings(stage)
    except SettingsError as error:
        raise TwinError(str(error)) from None
    elsewhere = settings.rag.image is not None or settings.is_preview or stage == "local"
    return None if elsewhere else settings.region
