"""What is blanked out, and what is not."""

import logging

import pytest

from backends import redaction
from backends.redaction import RedactingFormatter, names_secret, problem, redact


@pytest.mark.parametrize(
    "name",
    ["HF_TOKEN", "OPENAI_API_KEY", "api_key", "X-Api-Key", "DB_PASSWORD", "Authorization", "clientSecret", "APIKey",
     "WANDB_API_KEY", "hf_token", "Cookie", "GITHUB_PAT"],
)  # fmt: skip
def test_names_that_tell(name: str):
    assert names_secret(name)


@pytest.mark.parametrize(
    "name",
    ["max_tokens", "tokenizer", "api_key_variable", "keys", "monkey", "SSH_AUTH_SOCK", "XAUTHORITY", "PATH", "keyboard",
     "reasoning_parser", "HOME", "author"],
)  # fmt: skip
def test_names_that_do_not(name: str):
    assert not names_secret(name)


def test_secrets_of_the_environment_in_any_writing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TEAM_TOKEN", 'a"b/c d-0123')
    monkeypatch.setenv("SORT_KEY", "sample_id")
    monkeypatch.setenv("SSL_KEY", "/etc/ssl/private.pem")
    monkeypatch.setenv("SHORT_KEY", "abc1")
    text = (
        r'plain a"b/c d-0123, JSON "a\"b/c d-0123", address ?k=a%22b%2Fc%20d-0123, sample_id /etc/ssl/private.pem abc1'
    )
    assert redact(text) == 'plain ***, JSON "***", address ?k=***, sample_id /etc/ssl/private.pem abc1'


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("postgresql://me:pass@db/x", "postgresql://***@db/x"),
        ("http://token@host and a@b", "http://***@host and a@b"),
        ("Authorization: Bearer abc.def-123456", "Authorization: Bearer ***"),
        ("{'Authorization': 'Basic dXNlcjpwYXNz1'}", "{'Authorization': 'Basic ***'}"),
        ("key sk-proj-abc123456 used", "key *** used"),
        ("hf_abcdefghijklmnopqrst", "***"),
        ("the bearer of bad news", "the bearer of bad news"),
        ("task-12345678 sk-learn scikit", "task-12345678 sk-learn scikit"),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
    ],
)
def test_what_looks_like_a_secret(text: str, clean: str):
    assert redact(text) == clean


def test_what_was_told_to_be_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(redaction, "_remembered", set())
    assert redaction.remember("random-engine-key") == "random-engine-key"
    redaction.remember("ab")
    assert redact("ab random-engine-key") == "ab ***"


def test_logs_and_their_tracebacks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TEAM_PASSWORD", "canary-0123")
    error = ValueError("it was canary-0123")
    record = logging.LogRecord("x", 40, __file__, 1, "said %s", ("canary-0123",), (ValueError, error, None))
    line = RedactingFormatter("%(message)s").format(record)
    assert "canary" not in line and line.count("***") == 2


def test_problems_never_repeat_the_value():
    for name, value in (("api_key", "abcdefgh"), ("", "http://a:b@c"), ("", "sk-abcdefgh1")):
        words = problem(name, value)
        assert words and value not in words
    assert problem("api_key", "null") is None and problem("model", "demo_m") is None
