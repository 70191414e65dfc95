"""Judges of each provider over real sockets: requests, parsing of answers, faults and cost."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from localcloud.sagemaker_runtime.limits import RuntimeLimits
from localcloud.sagemaker_runtime.routing import ComponentRoute, EndpointRoute, RoutingTable
from services.common.settings import ConfigurationError
from services.evaluation.judges.base import Judge
from services.evaluation.judges.bedrock_judge import BedrockJudge
from services.evaluation.judges.errors import JudgeAnswerMalformed, JudgeCallFailed, JudgingStopped
from services.evaluation.judges.meter import Counts, Meter, Usage
from services.evaluation.judges.openai_judge import OpenAIJudge
from services.evaluation.judges.sagemaker_judge import SageMakerJudge
from services.evaluation.judges.session import open_judge
from services.evaluation.judges.settings import JudgeSettings
from services.evaluation.metrics.answer import Answer
from services.evaluation.metrics.judged import judged_scores
from services.evaluation.metrics.style import StyleVerdict
from services.evaluation.run.opik_metrics import score_answers
from services.evaluation.state import State
from tests.aws import KEYS
from tests.integration.evaluation.judge_server import CALL_DOLLARS, PRICE, USAGE, JudgeServer, Reply, by_shape
from tests.integration.sagemaker_runtime.conftest import boto_client, serve

STYLE = json.dumps({"reason": "short words", "score": 3})
QUESTION = [{"role": "user", "content": "Rate this."}]
ANSWER = Answer("What is a queue?", "A queue keeps messages in order.", ("Queues keep messages.", "Cats sleep."))


def good(_body: dict[str, Any], _number: int) -> Reply:
    return Reply(STYLE)


@pytest.fixture
def judging() -> Iterator[Callable[..., tuple[JudgeServer, Judge]]]:
    """Starts a server with a script and an OpenAI-compatible judge in front of it."""
    opened: list[tuple[JudgeServer, Judge]] = []

    def start(
        script: Callable[[dict[str, Any], int], Reply], meter: Meter | None = None, concurrency: int = 4
    ) -> tuple[JudgeServer, Judge]:
        server = JudgeServer(script).__enter__()
        judge = OpenAIJudge(f"{server.url}/v1", "judge-model", "key", meter or Meter(PRICE), concurrency)
        opened.append((server, judge))
        return server, judge

    yield start
    for server, judge in opened:
        judge.close()
        server.__exit__()


def test_openai_judge_asks_for_the_shape_and_counts_tokens(judging: Any) -> None:
    server, judge = judging(good)
    message = judge.generate_chat_completion(QUESTION, response_format=StyleVerdict)
    assert StyleVerdict.model_validate_json(message["content"]).normalised == 1.0
    (request,) = server.requests
    assert (server.paths, request["model"], request["temperature"]) == (["/v1/chat/completions"], "judge-model", 0.0)
    assert server.headers[0]["authorization"] == "Bearer key"
    schema = request["response_format"]["json_schema"]["schema"]
    assert schema["additionalProperties"] is False and schema["required"] == ["reason", "score"]
    assert judge.meter.used == Usage(1, *USAGE, CALL_DOLLARS)


def test_sagemaker_judge_through_the_runtime_of_the_local_cloud() -> None:
    table = RoutingTable()
    with JudgeServer(good) as container, serve(table, RuntimeLimits()) as url:
        route = ComponentRoute("twin-component", (container.url,))
        table.set_endpoint(EndpointRoute("twin", "main", (), {route.name: route}))
        judge = SageMakerJudge("twin", "twin-component", Meter(PRICE), 2, boto_client(url))
        message = judge.generate_chat_completion(QUESTION, response_format=StyleVerdict)
        assert json.loads(message["content"])["score"] == 3
        assert container.paths == ["/invocations"]
        assert container.requests[0]["messages"] == QUESTION
        assert judge.meter.used.input_tokens == USAGE[0]
        missing = SageMakerJudge("absent", None, Meter(PRICE), 2, boto_client(url))
        with pytest.raises(JudgeCallFailed, match="endpoint does not answer: ValidationError"):
            missing.generate_string("anything")
        assert missing.meter.used == Usage()


def test_bedrock_judge_uses_converse() -> None:
    with JudgeServer(good) as server:
        client = boto3.client(
            "bedrock-runtime",
            endpoint_url=server.url,
            region_name="us-east-1",
            **KEYS,
        )
        judge = BedrockJudge("some.model-v1:0", Meter(PRICE), 2, client)
        messages = [{"role": "system", "content": "Be strict."}, *QUESTION, {"role": "user", "content": "Now."}]
        message = judge.generate_chat_completion(messages, response_format=StyleVerdict)
    assert json.loads(message["content"])["score"] == 3
    (request,) = server.requests
    assert "/converse" in server.paths[0]
    assert request["system"][0] == {"text": "Be strict."} and '"score"' in request["system"][1]["text"]
    assert request["messages"] == [{"role": "user", "content": [{"text": "Rate this."}, {"text": "Now."}]}]
    assert judge.meter.used == Usage(1, *USAGE, CALL_DOLLARS)


def test_malformed_answer_is_repaired_once(judging: Any) -> None:
    server, judge = judging(lambda _, number: Reply("Sure! 7 out of 3." if number == 1 else f"```json\n{STYLE}\n```"))
    message = judge.generate_chat_completion(QUESTION, response_format=StyleVerdict)
    assert json.loads(message["content"])["score"] == 3
    assert len(server.requests) == 2
    assert server.requests[1]["messages"][1] == {"role": "assistant", "content": "Sure! 7 out of 3."}
    assert "JSON" in server.requests[1]["messages"][2]["content"]
    assert (judge.meter.counts, judge.meter.used.calls) == (Counts(repaired=1), 2)


@pytest.mark.parametrize("text", ["", "no idea", '{"score": 5, "reason": "x"}', '{"reason": "x"}', "[1]"])
def test_answer_that_is_malformed_twice_is_an_error(judging: Any, text: str) -> None:
    server, judge = judging(lambda *_: Reply(text))
    with pytest.raises(JudgeAnswerMalformed, match="malformed twice"):
        judge.generate_chat_completion(QUESTION, response_format=StyleVerdict)
    assert len(server.requests) == 2
    assert judge.meter.counts.repaired == 0


def test_transient_refusals_are_retried_and_others_are_not(judging: Any) -> None:
    busy = Reply(status=429, headers={"Retry-After": "0"}, body="{}")
    server, judge = judging(lambda _, number: busy if number == 1 else Reply(STYLE))
    assert judge.generate_string("x", StyleVerdict)
    assert len(server.requests) == 2
    server, judge = judging(lambda *_: Reply(status=401, body="{}"))
    with pytest.raises(JudgeCallFailed, match="HTTP 401"):
        judge.generate_string("x")
    assert len(server.requests) == 1
    assert judge.meter.used == Usage()


def test_server_without_guided_decoding_is_told_the_schema_in_words(judging: Any) -> None:
    def script(body: dict[str, Any], _number: int) -> Reply:
        if "response_format" in body:
            return Reply(status=400, body='{"error": {"message": "response_format is not supported"}}')
        return Reply(STYLE)

    server, judge = judging(script)
    for _ in range(2):
        assert json.loads(judge.generate_string("Rate.", StyleVerdict))["score"] == 3
    assert ["response_format" in request for request in server.requests] == [True, False, False]
    assert '"score"' in server.requests[1]["messages"][0]["content"]


def test_judged_metrics_read_what_the_judge_says(judging: Any) -> None:
    server, judge = judging(by_shape)
    scores = judged_scores(judge)
    found = {name: score(ANSWER) for name, score in scores.items()}
    assert {name: verdict.value for name, verdict in found.items() if verdict} == {
        "hallucination": 0.25,
        "moderation": 0.0,
        "judged_answer_relevance": 0.9,
        "style": 0.5,
        "context_precision": 1.0,
    }
    assert found["hallucination"] is not None and found["hallucination"].reason == "one detail is new"
    asked = len(server.requests)
    assert scores["hallucination"](Answer("q", "a")) is None and scores["context_precision"](Answer("q", "a")) is None
    assert len(server.requests) == asked


def test_score_out_of_range_is_repaired_and_single_reasons_are_taken(judging: Any) -> None:
    answers = ['{"score": 7, "reason": "all wrong"}', '{"score": 1, "reason": "all wrong"}']
    server, judge = judging(lambda _, number: Reply(answers[number - 1]))
    verdict = judged_scores(judge)["hallucination"](ANSWER)
    assert verdict is not None and (verdict.value, verdict.reason) == (1.0, "all wrong")
    assert len(server.requests) == 2


def test_failed_scores_are_counted_and_the_others_go_on(judging: Any) -> None:
    def script(body: dict[str, Any], _number: int) -> Reply:
        return Reply(status=400, body="{}") if "poison" in json.dumps(body) else Reply(STYLE)

    _, judge = judging(script)
    metrics = {"style": judged_scores(judge)["style"]}
    answers = {f"t{number}": Answer("q", "poison" if number == 2 else "fine") for number in range(5)}
    items = score_answers(answers, metrics, concurrency=4)
    assert [item.trace_id for item in items] == list(answers)
    assert [item.failed for item in items] == [(), (), ("style",), (), ()]
    assert [item.values.get("style") for item in items] == [1.0, 1.0, None, 1.0, 1.0]


def test_no_more_than_the_allowed_calls_are_in_flight(judging: Any) -> None:
    full = threading.Barrier(3)

    def script(_body: dict[str, Any], _number: int) -> Reply:
        full.wait(20)  # passes only when three calls are here at once
        return Reply(STYLE)

    server, judge = judging(script, concurrency=3)
    metrics = {"style": judged_scores(judge)["style"]}
    items = score_answers({f"t{n}": Answer("q", "fine") for n in range(12)}, metrics, concurrency=8)
    assert all(item.values == {"style": 1.0} for item in items)
    assert server.most_in_flight == 3


def settings(url: str, cap: float) -> JudgeSettings:
    return JudgeSettings(
        judge_provider="openai",
        judge_url=f"{url}/v1",
        judge_model="judge-model",
        judge_input_price=PRICE.input,
        judge_output_price=PRICE.output,
        judge_monthly_cap_usd=cap,
        judge_concurrency=2,
    )


def test_budget_of_the_month_stops_judging_across_runs_and_says_so(state_table: str) -> None:
    state = State(state_table)
    november, december = datetime(2026, 11, 30, 23, tzinfo=UTC), datetime(2026, 12, 1, 1, tzinfo=UTC)
    with JudgeServer(good) as server:
        chosen = settings(server.url, cap=4 * CALL_DOLLARS)
        with open_judge(chosen, state, lambda: november) as session:
            assert session is not None
            session.judge.generate_string("x", StyleVerdict)
        first = session.report()
        assert (first.calls, first.stopped, first.message, first.recorded) == (1, 0, "", True)
        stored = state.counters("judging/2026-11")
        assert stored == {"calls": 1, "input_tokens": 1000, "output_tokens": 100, "microdollars": 3000}

        with open_judge(chosen, state, lambda: november) as session:
            assert session is not None
            metrics = {"style": judged_scores(session.judge)["style"]}
            items = score_answers({f"t{n}": Answer("q", "fine") for n in range(10)}, metrics, concurrency=4)
        second = session.report()
        judged = sum("style" in item.values for item in items)
        assert 1 <= judged <= 3 and judged + second.stopped == 10
        assert all(not item.failed for item in items), "a judgement beyond the budget is not a failure"
        assert second.month_dollars == pytest.approx((1 + judged) * CALL_DOLLARS)
        assert "Judging stopped" in second.message and f"{second.stopped} judgements" in second.message

        asked = len(server.requests)
        with open_judge(settings(server.url, cap=CALL_DOLLARS), state, lambda: november) as session:
            assert session is not None
            with pytest.raises(JudgingStopped):
                session.judge.generate_string("x")
        assert len(server.requests) == asked

        with open_judge(chosen, state, lambda: december) as session:
            assert session is not None
            session.judge.generate_string("x", StyleVerdict)
        assert session.report().month_dollars == pytest.approx(CALL_DOLLARS)


def test_a_run_learns_what_others_spend(state_table: str) -> None:
    now = datetime(2026, 11, 5, tzinfo=UTC)
    with (
        JudgeServer(good) as server,
        open_judge(settings(server.url, cap=4.0), State(state_table), lambda: now) as mine,
        open_judge(settings(server.url, cap=4.0), State(state_table), lambda: now) as other,
    ):
        assert mine is not None and other is not None
        other.judge.meter.settle(other.judge.meter.reserve(0, 0), 2_000_000, 0)
        other.record()
        mine.record()
        with pytest.raises(JudgingStopped):
            mine.judge.generate_string("x")
        assert server.requests == []


def test_no_judge_and_settings_that_do_not_suffice() -> None:
    with open_judge(JudgeSettings()) as session:
        assert session is None
    with (
        pytest.raises(ConfigurationError, match="JUDGE_URL and JUDGE_MODEL"),
        open_judge(JudgeSettings(judge_provider="openai")),
    ):
        pass
