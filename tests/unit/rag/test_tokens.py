"""Counting tokens, exactly and not."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from services.rag.pipeline.tokens import EstimatedTokens, ModelTokens, TokenizerError, token_counter


def test_the_estimate_follows_what_the_engine_reports() -> None:
    tokens = EstimatedTokens()
    assert (tokens.count(""), tokens.count("abc"), tokens.count("x" * 400)) == (0, 1, 100)
    for _ in range(60):
        tokens.learn(chars=1000, tokens=500)
    assert tokens.count("x" * 400) == pytest.approx(200, rel=0.01)


def test_reports_that_cannot_be_right_move_little() -> None:
    tokens = EstimatedTokens()
    tokens.learn(chars=10, tokens=19)  # the chat template's own tokens are most of these
    assert tokens.count("x" * 400) == 100
    for _ in range(60):
        tokens.learn(chars=1_000_000, tokens=20)
    assert tokens.count("x" * 600) == pytest.approx(100, abs=1)
    for _ in range(90):
        tokens.learn(chars=1, tokens=1000)
    assert tokens.count("x" * 400) == pytest.approx(400, rel=0.01)


def test_the_models_own_tokenizer_counts_whole_texts(tmp_path: Path) -> None:
    tokenizer = Tokenizer(WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=8)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    tokens = token_counter(tmp_path / "tokenizer.json")
    assert isinstance(tokens, ModelTokens) and tokens.exact
    assert (tokens.count("a b c d e"), tokens.count("")) == (5, 0)
    tokens.learn(chars=1000, tokens=1)
    assert tokens.count("a b c d e") == 5


def test_a_file_that_is_no_tokenizer_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    for name in ("tokenizer.json", "missing.json"):
        with pytest.raises(TokenizerError, match=name):
            token_counter(tmp_path / name)
    assert not token_counter(None).exact
