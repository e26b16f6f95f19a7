"""What is taken out of text before anybody sees it."""

import io
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchsearch import redaction
from batchsearch.redaction import TAKEN_OUT, keep_secret, redacted
from batchsearch.telemetry.logs import configure, logger


@pytest.fixture(autouse=True)
def nothing_kept():
    """Each test starts, and leaves, without secrets."""
    before = dict(redaction._kept)
    redaction._kept.clear()
    yield
    redaction._kept.clear()
    redaction._kept.update(before)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "GET https://b.oss-cn.example/a b.jpg?Expires=1&Signature=abc%3D failed",
            "GET https://b.oss-cn.example/a b.jpg?Expires=1&Signature=[secret] failed",
        ),
        ("see https://host/p.jpg?OSSAccessKeyId=LTAI&Signature=x%2By=.", "see https://host/p.jpg?…"),
        ("redis://user:pass@host:6379/0 is away", "redis://host:6379/0 is away"),
        ("https://host/path#token", "https://host/path?…"),
        ("'//host/a.jpg?x=1' is not there", "'//host/a.jpg?…' is not there"),
        ("'//u:p@host/a.jpg'", "'//host/a.jpg'"),
        ("HTTP:/host/a?x=1 https//host/a?x=1", "HTTP:/host/a?… https//host/a?…"),
        ("a // b? no", None),
        ("known are http:, https:", None),
        ("at https://host/path, twice", "at https://host/path, twice"),
        ("x-acs-security-token: AAAABBBBCCCC;", "x-acs-security-token: [secret];"),
        ('{"Signature": "c2lnbmF0dXJl"}', '{"Signature": "[secret]"}'),
        ("Authorization: Bearer abcdefgh", "Authorization: Bearer [secret]"),
        ("access_key_secret=topsecretvalue", "access_key_secret=[secret]"),
        ("The signature is not right: SignatureDoesNotMatch", None),
        ("rows/part-000001.parquet has 5 rows", None),
        ('["Q0228","cruiser.jpg"]', None),
    ],
)
def test_addresses_and_named_secrets_lose_what_is_secret(text, shown):
    """Queries, users and values called a secret go; what is no secret stays as it was."""
    assert redacted(text) == (text if shown is None else shown)


def test_kept_secrets_are_found_anywhere():
    """A secret that the process holds goes out of any text, also in the middle of a word."""
    keep_secret("s3cr3t-value")
    assert redacted("xs3cr3t-valuex") == f"x{TAKEN_OUT}x"


def test_short_values_are_not_kept():
    """Taking out `demo` would take words apart and hide nothing."""
    keep_secret("demo")
    assert redacted("a demo") == "a demo"


def test_only_the_latest_secrets_are_kept():
    """Credentials renewed all night do not fill memory; the newest are still known."""
    for number in range(1000):
        keep_secret(f"secret-number-{number}")
    assert len(redaction._kept) <= 256
    assert redacted("secret-number-999") == TAKEN_OUT


@given(st.text(max_size=200))
def test_any_text_can_be_redacted(text):
    """It never fails, and doing it twice changes nothing more."""
    once = redacted(text)
    assert redacted(once) == once


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_event_shows_a_secret(monkeypatch, log_format):
    """Text in values, in lists, in dictionaries, in exceptions and in the environment's own secrets."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    configure(log_format, "debug", {"ALIBABA_CLOUD_ACCESS_KEY_SECRET": "the-environments"})
    signed = "https://host/p.jpg?Signature=planted-leak"
    logger().info("run_started", a=signed, b=[signed], c={"d": signed}, e="the-environments")
    error = OSError(f"cannot read {signed} with the-environments")
    logger().error("run_ending", error=error, exc_info=error)
    shown = stream.getvalue()
    assert "planted-leak" not in shown
    assert "the-environments" not in shown
    assert shown.count("https://host/p.jpg") >= 4


def test_json_lines_stay_json(monkeypatch):
    """Whatever is taken out, a line is one object, and numbers are numbers."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    configure("json", "info", {})
    logger().info("run_started", rows=3, share=0.5, none=None, text='x" Signature="abcdefgh')
    event = json.loads(stream.getvalue())
    assert (event["rows"], event["share"], event["none"]) == (3, 0.5, None)
