from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.vidgo import verify_signature

# echo -n 'COV0000000000001.1772366400' | openssl dgst -sha256 -hmac 'whsec-1' -binary | base64
SECRET, TASK, AT = "whsec-1", "COV0000000000001", "1772366400"
SIGNATURE = "4sgCF4ayScz5SBFtdY9YApqGO0x0reDHquOshdx6f6Q="
NOW = 1772366400.0


def test_a_documented_signature_holds() -> None:
    assert verify_signature(SECRET, TASK, AT, SIGNATURE, NOW)
    assert verify_signature(SECRET, TASK, f" {AT} ", f" {SIGNATURE} ", NOW)


@pytest.mark.parametrize(("now", "holds"), [(300, True), (-300, True), (301, False), (-301, False)])
def test_a_signature_holds_for_five_minutes(now: float, holds: bool) -> None:
    assert verify_signature(SECRET, TASK, AT, SIGNATURE, NOW + now) is holds


@pytest.mark.parametrize(
    ("secret", "task", "at", "signature"),
    [
        ("", TASK, AT, SIGNATURE),
        ("whsec-2", TASK, AT, SIGNATURE),
        (SECRET, "COV0000000000002", AT, SIGNATURE),
        (SECRET, TASK, "1772366401", SIGNATURE),
        (SECRET, TASK, None, SIGNATURE),
        (SECRET, TASK, AT, None),
        (SECRET, TASK, AT, ""),
        (SECRET, TASK, AT, SIGNATURE[:-1]),
        (SECRET, TASK, AT, SIGNATURE.lower()),
        (SECRET, TASK, AT, "ü\udcff"),
        (SECRET, TASK, "-1772366400", SIGNATURE),
        (SECRET, TASK, "1.7723664e9", SIGNATURE),
        (SECRET, TASK, "1" * 5000, SIGNATURE),
        (SECRET, TASK, "١٧٧٢٣٦٦٤٠٠", SIGNATURE),
    ],
)
def test_anything_else_is_refused(secret: str, task: str, at: str | None, signature: str | None) -> None:
    assert not verify_signature(secret, task, at, signature, NOW)


header = st.none() | st.text(st.characters(codec=None))


@given(st.text(), st.text(st.characters(codec=None)), header | st.just(AT), header)
def test_no_header_whatever_raises(secret: str, task: str, at: str | None, signature: str | None) -> None:
    assert not verify_signature(secret, task, at, signature, NOW)
