"""When certificates end, held against the cryptography package."""

from __future__ import annotations

import contextlib
import hashlib
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

from evcore.errors import MessageError
from evcore.x509 import ExpiryWatch, expiries_of, issued_of, not_after

DAY = 86_400
AUTHORITY = trustme.CA()
PEM = AUTHORITY.issue_cert("cs", common_name="CP1").cert_chain_pems[0].bytes()
DER = x509.load_pem_x509_certificate(PEM).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    "end",
    [
        datetime(2027, 2, 28, 23, 59, 59, tzinfo=UTC),
        datetime(2049, 12, 31, tzinfo=UTC),
        datetime(2061, 7, 1, tzinfo=UTC),
    ],
)
@pytest.mark.parametrize("kind", [trustme.KeyType.RSA, trustme.KeyType.ECDSA])
def test_the_end_is_read_as_cryptography_reads_it(end: datetime, kind: trustme.KeyType) -> None:
    leaf = AUTHORITY.issue_cert("cs", not_after=end, not_before=end - timedelta(days=30), key_type=kind)
    pem = leaf.cert_chain_pems[0].bytes()
    assert expiries_of(b"# a comment\n" + pem + AUTHORITY.cert_pem.bytes()) == [
        int(x509.load_pem_x509_certificate(each).not_valid_after_utc.timestamp())
        for each in (pem, AUTHORITY.cert_pem.bytes())
    ]


@given(st.integers(0, len(DER) - 1), st.binary(max_size=8), st.integers(0, 8))
def test_a_broken_certificate_is_an_error_or_a_time(at: int, junk: bytes, cut: int) -> None:
    broken = DER[:at] + junk + DER[at + cut :]
    with contextlib.suppress(ValueError, IndexError):
        assert isinstance(not_after(broken), int)


def test_what_is_no_certificate_is_named() -> None:
    assert expiries_of(b"") == []
    for junk in (b"-----BEGIN CERTIFICATE-----\n!!!\n-----END", b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END"):
        with pytest.raises(MessageError):
            expiries_of(junk)


def test_each_warning_comes_once_and_the_nearest_only() -> None:
    watch, end = ExpiryWatch(), 1000 * DAY
    told = [(day, watch.due([("a.pem", end)], day * DAY)) for day in range(900, 1003)]
    assert [(day, due) for day, due in told if due] == [
        (910, [("a.pem", 90)]),
        (970, [("a.pem", 30)]),
        (993, [("a.pem", 7)]),
        (1000, [("a.pem", 0)]),
    ]
    late = ExpiryWatch()
    assert late.due([("a.pem", end)], 995 * DAY) == [("a.pem", 5)]
    assert late.due([("a.pem", end + 365 * DAY)], 995 * DAY) == [], "it was renewed"
    assert late.due([("a.pem", end)], 1001 * DAY) == [("a.pem", -1)]


def test_what_names_a_certificate_is_what_openssl_hashes() -> None:
    """OCPP's CertificateHashDataType is that of OCSP (RFC 6960, 4.1.1)."""
    for kind in (trustme.KeyType.RSA, trustme.KeyType.ECDSA):
        pem = trustme.CA(key_type=kind).cert_pem.bytes()
        root, issued = x509.load_pem_x509_certificate(pem), issued_of(pem)
        asked = ocsp.OCSPRequestBuilder().add_certificate(root, root, hashes.SHA256()).build()
        assert hashlib.sha256(issued.issuer).digest() == asked.issuer_name_hash
        assert hashlib.sha256(issued.key).digest() == asked.issuer_key_hash
        assert issued.serial == root.serial_number


@pytest.mark.parametrize("pem", [b"", b"no PEM", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"])
def test_what_is_no_certificate_is_named_by_nothing(pem: bytes) -> None:
    with pytest.raises(MessageError, match="no certificate"):
        issued_of(pem)
