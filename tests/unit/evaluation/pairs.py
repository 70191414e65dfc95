"""Grounded and invented answers to the same questions over the same contexts, of our own writing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """One question with its context, an answer that the context supports, and one that it does not."""

    question: str
    context: tuple[str, ...]
    grounded: str
    invented: str


PAIRS = (
    Pair(
        "Why is the first request after a quiet night slow?",
        ("At night the endpoint scales to zero. The first request wakes it, which takes about six minutes.",),
        "The endpoint had scaled to zero overnight, and the first request has to wake it. That takes six minutes.",
        "The database rebuilds its indexes at dawn. Users in Asia share the same network cable.",
    ),
    Pair(
        "How are documents split before embedding?",
        ("Documents are cut into chunks of 200 words with an overlap of 40. Code blocks are never cut.",),
        "They are split into chunks of 200 words that overlap by 40 words, and code blocks stay whole [1].",
        "Every paragraph is translated into German first. A human editor then picks the ten most beautiful sentences.",
    ),
    Pair(
        "Which vector database is used?",
        ("Vectors live in Qdrant, in three collections: posts, articles and repositories.",),
        "Qdrant holds the vectors in three collections called posts, articles and repositories.",
        "The team stores everything in a spreadsheet. Marketing reviews it every Friday afternoon.",
    ),
    Pair(
        "What does the reranker do?",
        ("The reranker reads the question together with each candidate and orders the candidates by relevance.",),
        "It looks at the question and each candidate together, and sorts the candidates by relevance.",
        "It compresses images before upload. Bandwidth costs fell by half last summer because of it.",
    ),
    Pair(
        "How do I rotate an API key?",
        ("Keys are stored as hashes in Secrets Manager. Add the new key, tell the client, then remove the old hash.",),
        "Add the new key's hash in Secrets Manager, inform the client, and afterwards delete the old hash.",
        "Call the support hotline and spell your mother's maiden name. A courier delivers the new badge within a week.",
    ),
    Pair(
        "What is time to first token?",
        ("Time to first token is the delay between receiving a request and sending the first non-empty token.",),
        "It is the time from receiving the request until the first non-empty token is sent.",
        "Tokens are minted once a year by the treasury. Collectors wait in line for the first one.",
    ),
    Pair(
        "Why use a queue for samples?",
        ("Sampled answers go through SQS so that a slow evaluation never delays a user's request.",),
        "Samples travel through SQS, so a slow evaluation cannot delay requests of users.",
        "Queues were chosen because the architect likes trains. The first version ran on punched cards.",
    ),
    Pair(
        "What happens when the circuit breaker trips?",
        ("If a new version fails its health checks, the deployment circuit breaker rolls the service back.",),
        "When the new version does not pass its health checks, the circuit breaker rolls the deployment back.",
        "An electrician is called to the building. The lights in the cafeteria stay off until Monday.",
    ),
    Pair(
        "How is the cost of idle GPUs avoided?",
        ("Inference components can scale to zero copies, and the instances behind them are then released.",),
        "Inference components scale down to zero copies, after which their instances are released.",
        "The company rents its graphics cards to film studios. Animated movies pay for the electricity.",
    ),
    Pair(
        "What does groundedness measure?",
        ("Groundedness measures how well each sentence of an answer is supported by the retrieved context.",),
        "It measures for every sentence of the answer how well the retrieved context supports it.",
        "It tells how deep the foundations of the data centre are. Engineers measure it with a long rod.",
    ),
    Pair(
        "Why does the load balancer answer 503?",
        ("The load balancer answers 503 when no target is healthy, for example while every task is restarting.",),
        "A 503 from the load balancer means that no target is healthy, such as when all tasks restart.",
        "The number stands for the room where the server was built. Pressing reload five hundred times clears it.",
    ),
    Pair(
        "How long are traces kept?",
        ("Traces are kept for thirty days. Older traces are deleted every night by a scheduled job.",),
        "Traces stay for thirty days, and a nightly scheduled job deletes older ones.",
        "Each visitor receives a printed copy. The originals are buried under an oak behind the office.",
    ),
    # The hard ones: the invention speaks of the right subject.
    Pair(
        "Which model is served?",
        ("The endpoint serves an eight billion parameter Llama model on one L4 GPU with vLLM.",),
        "vLLM serves a Llama model with eight billion parameters on a single L4 GPU.",
        "The endpoint calls a commercial model through a partner in Canada, and nobody knows its size.",
    ),
    Pair(
        "How are authors filtered in search?",
        ("A keyword index on the author field lets the search return only chunks written by that author.",),
        "The author field has a keyword index, so that search only returns chunks written by the author.",
        "Authors vote on which results appear, and the search shuffles them by age every hour.",
    ),
)
