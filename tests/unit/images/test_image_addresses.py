"""Which addresses belong to the public internet."""

import pytest

from batchsearch.images.fetching.addresses import is_public, looks_numeric, shown_address


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.9.10",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.100.100.200",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "localhost",
        "127.1",
        "",
    ],
)
def test_internal_addresses_are_not_public(address):
    """Loopback, private, shared, link-local and multicast addresses are refused in every wrapping."""
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "47.88.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_public_addresses_are_public(address):
    """Ordinary addresses pass, plain or wrapped."""
    assert is_public(address)


@pytest.mark.parametrize(
    "host", ["127.1", "2130706433", "0x7f.1", "0x7f000001", "127.0.0.1.", "::1", "0177.0.0.1"]
)
def test_every_spelling_of_a_number_is_noticed(host):
    """What a resolver may take for an address never counts as a name."""
    assert looks_numeric(host)


@pytest.mark.parametrize("host", ["example.com", "1.example.com", "0x.example", "cdn-1"])
def test_names_are_names(host):
    """Hosts with digits in them are still names."""
    assert not looks_numeric(host)


def test_shown_addresses_hold_no_secret():
    """User, password, query and fragment are left out of anything shown."""
    shown = shown_address("https://user:pass@host:8443/a/b.jpg?Signature=abc#frag")
    assert shown == "https://host:8443/a/b.jpg"
    assert shown_address("http://[::1]:80/x") == "http://[::1]:80/x"
    assert shown_address("data:image/png;base64,AAAA") == "data: address"
    assert shown_address("http://[broken") == "an address that cannot be read"
