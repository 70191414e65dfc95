"""An estimate and a difference as rows of tables, as Markdown and as JSON."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from twin.cost.assembly import short_names
from twin.cost.diff import Diff
from twin.cost.estimate import Estimate, Line, Remark
from twin.cost.load import FULL, NAMES

Row = tuple[str, ...]
CENT = Decimal("0.01")
NUMBER = re.compile(r"[-+<>]*[\d,.]*")
CHARGE_COLUMNS = ("stack", "what", "n", "list price", "hour", *NAMES)
UNKNOWN_COLUMNS = ("stack", "resource", "type", "why")


@dataclass(frozen=True)
class Table:
    """A titled table of plain text."""

    title: str
    columns: Row
    rows: Sequence[Row]

    def markdown(self) -> str:
        """The table for a pull request: title in bold, numbers to the right."""
        head = f"| {' | '.join(self.columns)} |"
        rule = "|" + "|".join(" --- " if _is_text(self.rows, i) else " ---: " for i in range(len(self.columns))) + "|"
        body = (f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in self.rows)
        return "\n".join([f"**{self.title}**", "", head, rule, *body])


def money(amount: Decimal) -> str:
    """USD to the cent; what is less than a cent is said to be so, never shown as zero."""
    if amount and abs(amount) < CENT:
        return "<0.01" if amount > 0 else ">-0.01"
    return f"{amount:,.2f}"


def signed(amount: Decimal) -> str:
    """A difference with its sign; no difference is `0.00`."""
    return f"+{money(amount)}" if amount > 0 else money(amount)


def list_price(amount: Decimal) -> str:
    """A unit price with all its digits, never in scientific notation."""
    return f"{amount:f}"


def tables(estimate: Estimate, title: str) -> list[Table]:
    """What a person reads: charges, what is free, what was assumed, unknown prices, and the sums at the end."""
    found = [
        Table(f"{title}: USD an hour at full load, and a month", CHARGE_COLUMNS, _charges(estimate)),
        Table("Free by themselves", ("why", "resources"), _free(estimate.free)),
        _assumptions(estimate),
    ]
    if estimate.unknown:
        found.append(_unknown(estimate))
    return [*found, Table("Sums in USD", ("", *NAMES), _sums(estimate))]


def notes(estimate: Estimate, external: Iterable[str]) -> list[str]:
    """Sentences that belong to every sum: dates, foreign and derived prices, what is not in it."""
    prices = {line.price for line in estimate.lines}
    dates = sorted(price.as_of for price in prices)
    sentences = []
    if dates:
        sentences.append(f"AWS list prices known on {dates[0]} to {dates[-1]}; they may have changed since.")
    borrowed = {
        line.price.key: line.price.region for line in estimate.lines if line.price.region != line.resource.region
    }
    if borrowed:
        regions = ", ".join(sorted({line.resource.region for line in estimate.lines if line.price.key in borrowed}))
        keys = ", ".join(f"{key} ({region})" for key, region in sorted(borrowed.items()))
        sentences.append(f"No price for {regions} in the table, taken from another region: {keys}.")
    for note in sorted({price.note for price in prices if price.note}):
        keys = ", ".join(sorted(price.key for price in prices if price.note == note))
        sentences.append(f"{keys}: {note}")
    hosts = ", ".join(external)
    if hosts:
        sentences.append(f"Billed by others and not in the sums: {hosts}.")
    sentences.append(
        "Free tiers are not deducted. Not in the sums: taxes, support, CDK's bootstrap bucket, KMS requests, "
        "data between zones."
    )
    return sentences


def diff_tables(diff: Diff) -> list[Table]:
    """The difference per month: sums, then every kind of charge that changed."""
    sums = [
        ("before", *(money(diff.before.monthly(name)) for name in NAMES)),
        ("after", *(money(diff.after.monthly(name)) for name in NAMES)),
        ("difference", *(signed(diff.delta(name)) for name in NAMES)),
    ]
    found = [Table("Price difference, USD per month", ("", *NAMES), sums)]
    if diff.changes:
        rows = [
            (each.stack, each.kind.removeprefix("AWS::"), each.what, *(signed(each.delta(name)) for name in NAMES))
            for each in diff.changes
        ]
        found.append(Table("What changed", ("stack", "type", "what", *NAMES), rows))
    if diff.after.unknown:
        found.append(_unknown(diff.after))
    return found


def as_dict(estimate: Estimate) -> dict[str, object]:
    """Everything of an estimate for a machine; amounts of money are strings, so that no digit is lost."""
    return {
        "currency": "USD",
        "lines": [_line(line, estimate.assumptions.hours_per_month) for line in estimate.lines],
        "sums": {load.name: _load_sums(estimate, load.name) for load in estimate.loads},
        "per_1000_answers_at_the_margin": _text(estimate.marginal_per_thousand),
        "unknown": [_remark(remark) for remark in estimate.unknown],
        "free": [_remark(remark) for remark in estimate.free],
        "assumptions": {name: _assumed(estimate, name) for name in type(estimate.assumptions).model_fields},
    }


def diff_as_dict(diff: Diff) -> dict[str, object]:
    """A difference for a machine."""
    return {
        "currency": "USD",
        "before": _by_load(diff.before),
        "after": _by_load(diff.after),
        "difference": {name: _text(diff.delta(name)) for name in NAMES},
        "changes": [
            {
                "stack": each.stack,
                "type": each.kind,
                "what": each.what,
                "before": _texts(each.before),
                "after": _texts(each.after),
            }
            for each in diff.changes
        ],
        "unknown": [_remark(remark) for remark in diff.after.unknown],
    }


def _charges(estimate: Estimate) -> list[Row]:
    groups: dict[tuple[str, str, str, str], list[Line]] = {}
    for line in estimate.lines:
        key = (line.resource.stack, line.what, line.price.key, line.price.region)
        groups.setdefault(key, []).append(line)
    names = short_names(line.resource.stack for line in estimate.lines)
    rows = []
    for (stack, what, _, _), lines in groups.items():
        price = lines[0].price
        months = {name: sum((line.monthly[name] for line in lines), Decimal(0)) for name in NAMES}
        hour = months[FULL] / estimate.assumptions.hours_per_month
        listed = f"{list_price(price.usd)} / {price.unit}"
        rows.append(
            (names[stack], what, str(len(lines)), listed, f"{hour:.4f}", *(money(months[name]) for name in NAMES))
        )
    return rows


def _sums(estimate: Estimate) -> list[Row]:
    answers = (f"{load.answers:,.0f}" for load in estimate.loads)
    thousand = (estimate.per_thousand(load) for load in estimate.loads)
    marginal = estimate.marginal_per_thousand
    tokens = f"{estimate.assumptions.prompt_tokens} + {estimate.assumptions.answer_tokens} tokens"
    return [
        ("per hour", *(f"{estimate.hourly(name):.4f}" for name in NAMES)),
        ("per day", *(money(estimate.daily(name)) for name in NAMES)),
        ("per month", *(money(estimate.monthly(name)) for name in NAMES)),
        ("answers a month", *answers),
        (f"per 1,000 answers of {tokens}, all in", *("" if each is None else money(each) for each in thousand)),
        ("per 1,000 further answers", "", "", "" if marginal is None else money(marginal)),
    ]


def _assumptions(estimate: Estimate) -> Table:
    fields = type(estimate.assumptions).model_fields
    rows = [(name, _assumed(estimate, name), field.description or "") for name, field in fields.items()]
    return Table("Assumptions (--assume name=value)", ("name", "value", "meaning"), rows)


def _unknown(estimate: Estimate) -> Table:
    rows = [(each.resource.stack, each.resource.logical_id, each.resource.kind, each.why) for each in estimate.unknown]
    return Table("NOT in the sums: price unknown", UNKNOWN_COLUMNS, rows)


def _free(remarks: Iterable[Remark]) -> list[Row]:
    reasons: dict[str, Counter[str]] = {}
    for remark in remarks:
        reasons.setdefault(remark.why, Counter())[remark.resource.kind.removeprefix("AWS::")] += 1
    return [(why, ", ".join(f"{n} {kind}" for kind, n in kinds.items())) for why, kinds in sorted(reasons.items())]


def _assumed(estimate: Estimate, name: str) -> str:
    value = getattr(estimate.assumptions, name)
    return "from the template" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:f}"


def _line(line: Line, hours: Decimal) -> dict[str, object]:
    price = line.price
    return {
        "stack": line.resource.stack,
        "resource": line.resource.logical_id,
        "type": line.resource.kind,
        "region": line.resource.region,
        "what": line.what,
        "price": {
            "key": price.key,
            "usd": list_price(price.usd),
            "unit": price.unit,
            "region": price.region,
            "source": price.source,
            "as_of": price.as_of.isoformat(),
        },
        "units": _texts(line.units),
        "hourly": _texts({name: amount / hours for name, amount in line.monthly.items()}),
        "monthly": _texts(line.monthly),
    }


def _remark(remark: Remark) -> dict[str, str]:
    resource = remark.resource
    return {"stack": resource.stack, "resource": resource.logical_id, "type": resource.kind, "why": remark.why}


def _load_sums(estimate: Estimate, name: str) -> dict[str, str | None]:
    load = next(load for load in estimate.loads if load.name == name)
    return {
        "hourly": _text(estimate.hourly(name)),
        "daily": _text(estimate.daily(name)),
        "monthly": _text(estimate.monthly(name)),
        "answers": _text(load.answers),
        "per_1000_answers": _text(estimate.per_thousand(load)),
    }


def _by_load(estimate: Estimate) -> dict[str, str | None]:
    return {name: _text(estimate.monthly(name)) for name in NAMES}


def _texts(amounts: Mapping[str, Decimal]) -> dict[str, str | None]:
    return {name: _text(amount) for name, amount in amounts.items()}


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:.6f}"


def _is_text(rows: Sequence[Row], column: int) -> bool:
    return any(NUMBER.fullmatch(row[column]) is None for row in rows)
