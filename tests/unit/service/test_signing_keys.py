"""The HMAC of signatures, made of hashes that have seen the key already."""

import hmac

import pytest

from batchsearch.service.signing import _hmac_sha256


@pytest.mark.parametrize("secret", ["", "s", "x" * 30, "x" * 64, "x" * 65, "ö" * 200])
def test_it_is_the_hmac_of_the_standard_library(secret):
    """Whatever the length of the secret, and however often it is used, the signature is HMAC-SHA256."""
    for text in (b"", b"text", b"t" * 1_000):
        assert _hmac_sha256(secret, text) == hmac.digest(secret.encode(), text, "sha256").hex()
