from __future__ import annotations

from base64 import b64decode
from uuid import UUID

import make
import pytest

from wmbackup.engine import Row, Selection
from wmbackup.formats.keyid import canonical
from wmbackup.license import License

# The bytes 0 to 15, of which a GUID has the first eight in the order of its numbers.
GUID = "03020100-0504-0706-0809-0a0b0c0d0e0f"


def found(kid: str | None, *wanted: str) -> bool:
    return Selection(kids=wanted).matches(Row(None, License("wmdrm-v7", kid=kid)))


@pytest.mark.parametrize(
    "wanted",
    [
        make.KID,
        make.KID.rstrip("="),
        f"  {make.KID}\n",
        GUID,
        GUID.upper(),
        f"{{{GUID.upper()}}}",
        GUID.replace("-", ""),
        "000102030405060708090A0B0C0D0E0F",
        "0x000102030405060708090a0b0c0d0e0f",
    ],
)
@pytest.mark.parametrize("kid", [make.KID, GUID.upper(), f"{{{GUID}}}"])
def test_a_key_id_is_found_in_every_form_that_people_paste(kid: str, wanted: str) -> None:
    assert found(kid, wanted)
    assert found(kid, make.OTHER_KID, wanted)
    assert not found(make.OTHER_KID, wanted)
    assert not found(None, wanted)


def test_key_id_with_exclamation_marks_and_stars_is_the_usual_one() -> None:
    usual, other = "+/+//+++AAAA+/+//+++AQ==", "!*!**!!!AAAA!*!**!!!AQ=="
    assert canonical(other) == canonical(other.rstrip("=")) == usual
    assert found(usual, other)
    assert found(other, usual)
    assert found(other, f"{{{UUID(bytes_le=b64decode(usual))}}}")
    assert not found(make.KID, other)


def test_base64_tells_upper_case_from_lower() -> None:
    assert not found(make.KID, make.KID.lower())


@pytest.mark.parametrize("kid", ["song-7", "{song-7}", "0" * 32, "AAAA", "é", "=="])
def test_a_key_id_of_another_form_is_what_it_is(kid: str) -> None:
    assert canonical(kid) == kid
    assert found(kid, kid)
    assert not found(kid, kid + "x")
