"""Score files of two releases: measured on labelled questions, read back, and held against each other.

A score file is `{"scores": {metric: {sample: value}}}`, values from 0 to 1, more being better.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from twin.evaluate.comparison import Scores, compare
from twin.target.answer import ask
from twin.target.errors import TwinError
from twin.target.json_file import read_json
from twin.target.stage import Stage


def measure(stage: Stage, file: Path, concurrency: int) -> dict[str, dict[str, float]]:
    """Ask the stage every labelled question, `concurrency` at the same time; a sample is a question's text.

    `sources_recall` is the share of the relevant documents among the answer's sources; `answered` is 1 when there is
    an answer.

    Raises:
        TwinError: the file is wrong, or the service refuses.
    """
    labelled = _labelled(file)
    with ThreadPoolExecutor(concurrency) as pool:
        answers = dict(zip(labelled, pool.map(partial(ask, stage, sample=False), labelled), strict=True))
    recall = {query: _recall(relevant, answers[query].sources) for query, relevant in labelled.items()}
    return {
        "sources_recall": recall,
        "answered": {query: float(bool(answer.text.strip())) for query, answer in answers.items()},
    }


def read(path: Path) -> dict[str, dict[str, float]]:
    """The scores in a file.

    Raises:
        TwinError: it is not of that form.
    """
    document = read_json(path)
    try:
        scores = {
            str(metric): {str(sample): float(value) for sample, value in values.items()}
            for metric, values in document["scores"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        raise TwinError(f"{path} holds no scores: it must be {{'scores': {{metric: {{sample: value}}}}}}.") from None
    if not any(scores.values()):
        raise TwinError(f"{path} holds no scores of any sample.")
    return scores


def gate(base: Scores, head: Scores) -> list[str]:
    """A sentence for each metric that is lost or has regressed, with its samples; none means that `head` may go on."""
    lost = [f"{metric} is measured no more" for metric in sorted(base.keys() - head.keys())]
    lost += [
        f"{metric} lacks the samples {', '.join(missing)}"
        for metric in sorted(base.keys() & head.keys())
        if (missing := sorted(base[metric].keys() - head[metric].keys()))
    ]
    return [
        *lost,
        *(
            f"{each.metric} fell from {each.base:.3f} to {each.head:.3f} "
            f"(95 % interval of the difference {each.low:+.3f} to {each.high:+.3f}); regressed samples: "
            + ", ".join(f"{sample} ({before:.2f} -> {after:.2f})" for sample, before, after in each.worse)
            for each in compare(base, head)
            if each.regressed
        ),
    ]


def _labelled(file: Path) -> dict[str, set[str]]:
    """Relevant documents by question."""
    found: dict[str, set[str]] = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        try:
            entry = json.loads(line)
            found[str(entry["query"])] = set(entry["relevant"])
        except (ValueError, KeyError, TypeError):
            raise TwinError(f"{file}, line {number}: not of the form query, relevant.") from None
    return found


def _recall(relevant: set[str], sources: list[dict[str, Any]]) -> float:
    found = {str(source["document_id"]) for source in sources}
    return len(relevant & found) / len(relevant) if relevant else 1.0
