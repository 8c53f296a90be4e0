"""Which address a request is counted under."""

from __future__ import annotations

import pytest

from rocket_auth.client_address import client_address, parse_proxies

PROXIES = parse_proxies(["10.0.0.0/8", "2001:db8:1::/48", "192.0.2.7"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("198.51.100.1", None, "198.51.100.1"),
        ("198.51.100.1", "203.0.113.9", "198.51.100.1"),
        ("10.1.2.3", None, "10.1.2.3"),
        ("10.1.2.3", "", "10.1.2.3"),
        ("10.1.2.3", "203.0.113.9", "203.0.113.9"),
        ("10.1.2.3", "1.1.1.1, 203.0.113.9", "203.0.113.9"),
        ("10.1.2.3", "1.1.1.1, 203.0.113.9, 10.9.9.9", "203.0.113.9"),
        ("10.1.2.3", "203.0.113.9,192.0.2.7 , 10.9.9.9", "203.0.113.9"),
        ("10.1.2.3", "10.4.4.4, 10.5.5.5", "10.4.4.4"),
        ("10.1.2.3", "203.0.113.9, unknown", "10.1.2.3"),
        ("10.1.2.3", "203.0.113.9, ", "10.1.2.3"),
        ("10.1.2.3", "203.0.113.9:4711", "203.0.113.9"),
        ("10.1.2.3", "[2001:db8::1]:4711", "2001:db8::/64"),
        ("2001:db8:5:6:7:8:9:a", None, "2001:db8:5:6::/64"),
        ("2001:db8:5:6:ffff::1", None, "2001:db8:5:6::/64"),
        ("2001:db8:1::5", "2001:db8:5:6:7:8:9:a", "2001:db8:5:6::/64"),
        ("fe80::1%eth0", None, "fe80::/64"),
        ("::ffff:198.51.100.1", None, "198.51.100.1"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        (None, "203.0.113.9", ""),
        ("unix", None, ""),
    ],
)
def test_the_last_address_that_nobody_trusted_could_make_up(peer, forwarded, expected):
    assert client_address(peer, forwarded, PROXIES) == expected


def test_nobody_is_trusted_unasked():
    assert client_address("127.0.0.1", "203.0.113.9", ()) == "127.0.0.1"
