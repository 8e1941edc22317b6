"""Whom an access list lets use a file."""

from __future__ import annotations

import struct

import pytest

from wmbackup.trust.access_lists import EVERYONE, is_always_allowed, users

READ, WRITE, CHANGE, TAKE = 0x1, 0x2, 0x4_0000, 0x8_0000
ALL, GENERIC_READ = 0x1F_01FF, 0x8000_0000
SYNCHRONIZE, READ_CONTROL, READ_ATTRIBUTES = 0x10_0000, 0x2_0000, 0x80
LOCAL_SERVICE, NETWORK_SERVICE = "S-1-5-19", "S-1-5-20"
ADMINISTRATOR = "S-1-5-21-1004336348-1177238915-682003330-500"
USER = "S-1-5-21-1004336348-1177238915-682003330-1001"


def sid(text: str) -> bytes:
    revision, authority, *parts = map(int, text.split("-")[1:])
    head = bytes([revision, len(parts)]) + authority.to_bytes(6, "big")
    return head + struct.pack(f"<{len(parts)}I", *parts)


def entry(kind: int, mask: int, rest: bytes, flags: int = 0) -> bytes:
    return struct.pack("<BBHI", kind, flags, 8 + len(rest), mask) + rest


def descriptor(*entries: bytes) -> bytes:
    body = b"".join(entries)
    acl = struct.pack("<BBHHH", 4, 0, 8 + len(body), len(entries), 0) + body
    # An owner before the list, as Windows puts one there when it is asked for it.
    owner = sid(USER)
    return struct.pack("<BBHIIII", 1, 0, 0x8004, 20, 0, 0, 20 + len(owner)) + owner + acl


@pytest.mark.parametrize("who", [USER, EVERYONE, LOCAL_SERVICE, NETWORK_SERVICE, ADMINISTRATOR])
def test_whom_an_entry_allows_is_told_by_the_identifier(who: str) -> None:
    assert users(descriptor(entry(0, ALL, sid(who)))) == {who}


@pytest.mark.parametrize("mask", [READ, WRITE, 4, CHANGE, TAKE, GENERIC_READ, 1 << 30, 1 << 28])
def test_to_use_a_file_is_to_read_or_write_it_or_to_change_who_may(mask: int) -> None:
    assert users(descriptor(entry(0, mask, sid(EVERYONE)))) == {EVERYONE}


@pytest.mark.parametrize("mask", [0, SYNCHRONIZE, READ_CONTROL, READ_ATTRIBUTES, 1 << 29])
def test_who_sees_no_more_than_that_it_is_there_does_not_use_it(mask: int) -> None:
    assert users(descriptor(entry(0, mask, sid(EVERYONE)))) == set()


@pytest.mark.parametrize("kind", [5, 11])
@pytest.mark.parametrize("guids", [0, 1, 2, 3])
def test_an_entry_of_an_object_allows_as_well(kind: int, guids: int) -> None:
    rest = struct.pack("<I", guids) + b"\xff" * 16 * guids.bit_count() + sid(NETWORK_SERVICE)
    assert users(descriptor(entry(kind, READ, rest))) == {NETWORK_SERVICE}


def test_an_entry_under_a_condition_allows_as_well() -> None:
    assert users(descriptor(entry(9, READ, sid(EVERYONE) + b"artx\xf8\0\0\0"))) == {EVERYONE}


def test_a_reserved_entry_may_allow_anybody() -> None:
    assert users(descriptor(entry(4, READ, b"\0" * 24))) == {EVERYONE}


def test_what_denies_or_is_for_other_files_or_no_access_allows_nothing() -> None:
    denied = [entry(kind, ALL, sid(EVERYONE)) for kind in (1, 2, 10, 17)]
    inherited = entry(0, ALL, sid(EVERYONE), flags=0x0B)
    assert users(descriptor(*denied, inherited, entry(0, ALL, sid(USER)))) == {USER}
    assert users(descriptor()) == set()


@pytest.mark.parametrize("control", [0x8000, 0x8004])
def test_no_list_at_all_allows_everybody(control: int) -> None:
    assert users(struct.pack("<BBHIIII", 1, 0, control, 0, 0, 0, 0)) == {EVERYONE}


def test_what_is_no_descriptor_is_an_error() -> None:
    whole = descriptor(entry(0, ALL, sid(USER)), entry(5, ALL, struct.pack("<I", 1)))
    for size in range(len(whole)):
        with pytest.raises(ValueError, match="too early"):
            users(whole[:size])


def test_who_can_read_everything_is_known() -> None:
    always = ("S-1-5-18", "S-1-5-32-544", "S-1-3-0", "S-1-3-4", ADMINISTRATOR)
    assert all(map(is_always_allowed, always))
    others = (EVERYONE, LOCAL_SERVICE, NETWORK_SERVICE, USER, "S-1-5-32-545", ADMINISTRATOR + "1")
    assert not any(map(is_always_allowed, others))
