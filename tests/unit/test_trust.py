from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

from tests.archives import public
from wmbackup import errors
from wmbackup.archive.sshsig import fingerprint, public_line
from wmbackup.trust import (
    Policy,
    Signer,
    TrustFileInvalid,
    parse_allowed_signers,
    parse_revoked,
)
from wmbackup.trust.allowed_signers import (
    MAX_LINE,
    PrincipalTaken,
    parse_key_file,
    with_line,
)

A, B, C, D = (public(seed) for seed in range(1, 5))
KEY = public_line(A)
NOW = datetime(2026, 11, 23, tzinfo=UTC)
DAY = timedelta(days=1)


def test_the_maker_alone_is_enough_by_default() -> None:
    assert Policy((Signer("alice", A),)).check(A) == ("alice",)


def test_a_cosigner_is_enough_where_it_is_trusted() -> None:
    assert Policy((Signer("bob", B),)).check(A, [B]) == ("bob",)


def test_nobody_is_believed_for_being_there() -> None:
    with pytest.raises(errors.SignerUntrusted) as caught:
        Policy((Signer("alice", A),)).check(B, [C])
    assert type(caught.value) is errors.SignerUntrusted
    assert caught.value.fingerprint == fingerprint(B)
    assert fingerprint(B) in caught.value.message
    with pytest.raises(errors.SignerUntrusted):
        Policy().check(A)


def test_a_revoked_maker_is_never_believed() -> None:
    policy = Policy((Signer("alice", A), Signer("bob", B)), frozenset({A}))
    with pytest.raises(errors.SignerRevoked) as caught:
        policy.check(A, [B])
    assert caught.value.fingerprint == fingerprint(A)


def test_a_revoked_cosigner_does_not_count() -> None:
    policy = Policy((Signer("alice", A), Signer("bob", B)), frozenset({B}))
    assert policy.check(A, [B]) == ("alice",)
    with pytest.raises(errors.SignerUntrusted):
        Policy((Signer("bob", B),), frozenset({B})).check(A, [B])


@pytest.mark.parametrize(
    ("after", "before", "valid"),
    [
        (None, None, True),
        (NOW, None, True),
        (NOW + timedelta(seconds=1), None, False),
        (None, NOW, False),
        (None, NOW + timedelta(seconds=1), True),
        (NOW, NOW + timedelta(seconds=1), True),
        (NOW - DAY, NOW - DAY, False),
        (NOW + DAY, NOW - DAY, False),
    ],
)
def test_a_key_is_valid_from_then_on_and_before(
    after: datetime | None, before: datetime | None, *, valid: bool
) -> None:
    policy = Policy((Signer("alice", A, after, before),))
    assert policy.check(A) == ("alice",)
    if valid:
        assert policy.check(A, signed_at=NOW) == ("alice",)
    else:
        with pytest.raises(errors.SignerExpired) as caught:
            policy.check(A, signed_at=NOW)
        assert caught.value.fingerprint == fingerprint(A)


def test_another_line_of_the_same_key_may_be_valid() -> None:
    signers = (Signer("alice", A, None, NOW), Signer("alice", A, NOW, None))
    assert Policy(signers).check(A, signed_at=NOW) == ("alice",)


def test_two_required_principals_want_two_keys() -> None:
    alice, bob = Signer("alice", A), Signer("bob", B)
    assert set(Policy((alice, bob), required=2).check(A, [B])) == {"alice", "bob"}
    for signers in ((alice,), (alice, Signer("bob", A)), (alice, Signer("alice", B))):
        with pytest.raises(errors.TooFewSigners) as caught:
            Policy(signers, required=2).check(A, [B])
        assert caught.value.fingerprint == fingerprint(A)
        assert "1 trusted of 2" in caught.value.message
    with pytest.raises(errors.TooFewSigners):
        Policy((alice, bob), required=2).check(A, [A])
    with pytest.raises(errors.TooFewSigners):
        Policy((alice, Signer("bob", B, None, NOW)), required=2).check(A, [B], NOW)


def test_a_line_of_several_names_counts_for_the_one_that_has_to_sign() -> None:
    both = (Signer("alice,bob", A), Signer("carol", B))
    assert Policy(both, named=("bob",)).check(A, [B], NOW) == ("bob", "carol")
    assert Policy(both).check(A, [B], NOW) == ("alice,bob", "carol")


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (("dave",), "dave did not sign, or is not trusted"),
        (("dave", "erin"), "dave and erin did not sign, or are not trusted"),
    ],
)
def test_who_has_to_sign_and_did_not_is_named(named: tuple[str, ...], message: str) -> None:
    with pytest.raises(errors.SignerMissing, match=message):
        Policy((Signer("alice", A),), named=named).check(A, (), NOW)


def test_a_key_line_without_a_comment_names_nobody() -> None:
    assert parse_key_file(f"{KEY}\n".encode())[0] is None
    assert parse_key_file(f"{KEY} work laptop\n".encode())[0] is None
    assert parse_key_file(f"{KEY} me@work\n".encode())[0] == "me@work"


def test_a_name_is_free_when_the_time_of_its_key_is_past() -> None:
    text = f'me@work valid-before="20200101Z" {KEY}\n'.encode()
    signer = Signer("me@work", B)
    assert with_line(text, signer, NOW) is not None
    with pytest.raises(PrincipalTaken):  # nobody says what time it is
        with_line(text, signer)


def test_the_largest_set_of_pairs_is_counted() -> None:
    # Whoever gives the first key its first principal has none left for the second.
    signers = (Signer("x", A), Signer("y", A), Signer("x", B))
    assert set(Policy(signers, required=2).check(A, [B])) == {"x", "y"}
    chain = (
        *(Signer("x", A), Signer("y", A)),
        *(Signer("x", B), Signer("z", B)),
        *(Signer("x", C), Signer("y", C), Signer("z", C)),
    )
    assert set(Policy(chain, required=3).check(A, [B, C])) == {"x", "y", "z"}
    with pytest.raises(errors.TooFewSigners, match="3 trusted of 4"):
        Policy((*chain, Signer("x", D)), required=4).check(A, [B, C, D])


@pytest.mark.parametrize(
    ("line", "signer"),
    [
        (f"alice {KEY}", Signer("alice", A)),
        (f"alice {KEY} a comment", Signer("alice", A)),
        (f"  \talice\t \t{KEY}\t", Signer("alice", A)),
        (f"alice {KEY}\r", Signer("alice", A)),
        (f"a@b,c@d {KEY}", Signer("a@b,c@d", A)),
        (f'"a b" {KEY}', Signer("a b", A)),
        (f"\xe9 {KEY}", Signer("\xe9", A)),
        (f'alice namespaces="archive@wmbackup" {KEY}', Signer("alice", A)),
        (f'alice namespaces="file,archive@*" {KEY}', Signer("alice", A)),
        (f'alice NameSpaces="archive?wmbackup" {KEY}', Signer("alice", A)),
        (
            f'alice valid-after="20260101Z",valid-before="202701010203Z" {KEY}',
            Signer(
                "alice",
                A,
                datetime(2026, 1, 1, tzinfo=UTC),
                datetime(2027, 1, 1, 2, 3, tzinfo=UTC),
            ),
        ),
        (
            f'alice namespaces="*",valid-after="20260101020304Z" {KEY}',
            Signer("alice", A, datetime(2026, 1, 1, 2, 3, 4, tzinfo=UTC)),
        ),
    ],
)
def test_a_line_is_a_signer(line: str, signer: Signer) -> None:
    assert parse_allowed_signers(line.encode()) == (signer,)
    assert parse_allowed_signers(f"# x\n\n{line}\n \t\n#".encode()) == (signer,)


RSA = (
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC8VEdoSvctuCTcdYHDiezjeyKAIU12sMtyPBPKADiMnvBzF"
    "UoOFxDA0sistPo1ozONhZtF0y+u8Deh74lvs7KIOW/j/ErPDB2fdqVwI7/en94fzqnpXrZGunrxqU/W79kC+w"
    "3ZC5i/FInxORy5qrBHFKwUyq+W2/hoy3W2+qe0Qw=="
)
SK = (
    "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABHNzaDo="
)
ECDSA = (
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEtGCMyl3XzSB"
    "QIbfeUOW09CL9QRM8x52jqP2VBYunl9uJ4j7UBkJ6Slk5FFvNj4pOvnSTf1VnaymQ9n3si8Zx0="
)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "# alice",
        f"#alice {KEY}",
        f"alice cert-authority {KEY}",
        f'alice cert-authority,namespaces="archive@wmbackup" {KEY}',
        f'alice valid-after="20260101Z",CERT-AUTHORITY {KEY}',
        f"alice {RSA}",
        f"alice {SK}",
        f"alice {ECDSA}",
        f'alice namespaces="file" {KEY}',
        f'alice namespaces="" {KEY}',
        f'alice namespaces="archive" {KEY}',
        f'alice namespaces="ARCHIVE@wmbackup" {KEY}',
        f'alice namespaces="*,!archive@wmbackup" {KEY}',
        f'alice namespaces="!archive@wmbackup,*" {KEY}',
        f'alice namespaces="!file" {KEY}',
        f'alice namespaces="archive[@]wmbackup" {KEY}',
        f'alice namespaces=" archive@wmbackup" {KEY}',
    ],
)
def test_keys_that_can_sign_no_archive_are_passed_over(line: str) -> None:
    assert parse_allowed_signers(line.encode()) == ()
    assert parse_allowed_signers(f"{line}\nbob {KEY}\n".encode()) == (Signer("bob", A),)


@pytest.mark.parametrize(
    "line",
    [
        "alice",
        KEY,  # the key type is taken for a principal
        "alice ssh-ed25519",
        "alice ssh-ed25519 ",
        "alice ssh-ed25519 AAAA",
        "alice ssh-ed25519 ****",
        f"alice  nonsense {KEY}",
        f'alice nonsense="x" {KEY}',
        f"alice namespaces {KEY}",
        f"alice namespaces=archive@wmbackup {KEY}",
        f'alice namespaces="archive@wmbackup {KEY}',
        f'alice namespaces="a"x {KEY}',
        f'alice namespaces="a",namespaces="b" {KEY}',
        f'alice cert-authority="x" {KEY}',
        f"alice cert-authority,cert-authority {KEY}",
        f'alice ,namespaces="*" {KEY}',
        f'alice namespaces="*", {KEY}',
        f'alice namespaces="*",,cert-authority {KEY}',
        f"alice cert-authority, {KEY}",
        'alice namespaces="*"',
        "alice cert-authority",
        f'alice valid-after="" {KEY}',
        f'alice valid-after="2026" {KEY}',
        f'alice valid-after="20261301" {KEY}',
        f'alice valid-after="20260230Z" {KEY}',
        f'alice valid-after="2026010125Z" {KEY}',
        f'alice valid-after="202601012400Z" {KEY}',
        f'alice valid-after="20260101ZZ" {KEY}',
        f'alice valid-after="2026-01-01" {KEY}',
        f'alice valid-after="\u0662\u0660260101" {KEY}',
        f'alice valid-before="00000101Z" {KEY}',
        f'alice valid-before="+2026010" {KEY}',
        f'"alice {KEY}',
        f'al"ice {KEY}',
        f'"" {KEY}',
        f'"alice"{KEY}',
    ],
)
def test_a_line_that_cannot_be_parsed_makes_the_whole_file_an_error(line: str) -> None:
    with pytest.raises(TrustFileInvalid, match="line 2:"):
        parse_allowed_signers(f"bob {KEY}\n{line}\n".encode())


def test_a_carriage_return_begins_no_line() -> None:
    # ssh-keygen takes what follows for a part of the comment, and so nobody is trusted here.
    assert parse_allowed_signers(f"# x\rmallory {KEY}\n".encode()) == ()
    assert parse_allowed_signers(f"alice {KEY} x\rmallory {KEY}\r\n".encode()) == (
        Signer("alice", A),
    )
    assert parse_revoked(f"# x\r{KEY}\n".encode()) == frozenset()


def test_bytes_that_are_not_utf8_do_no_harm_in_a_comment() -> None:
    (signer,) = parse_allowed_signers(b"alice " + KEY.encode() + b" caf\xe9")
    assert signer == Signer("alice", A)
    with pytest.raises(TrustFileInvalid, match="a character that cannot be seen"):
        parse_allowed_signers(b"\xff " + KEY.encode())


@pytest.fixture
def _two_hours_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "XXX-2")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_two_hours_east")
def test_a_time_without_a_zone_is_local() -> None:
    line = f'alice valid-after="20260101",valid-before="20260101010203" {KEY}'
    (signer,) = parse_allowed_signers(line.encode())
    east = timezone(timedelta(hours=2))
    assert signer.valid_after == datetime(2026, 1, 1, tzinfo=east)
    assert signer.valid_before == datetime(2026, 1, 1, 1, 2, 3, tzinfo=east)


@pytest.mark.usefixtures("_two_hours_east")
def test_a_local_time_before_the_first_year_is_no_time() -> None:
    with pytest.raises(TrustFileInvalid, match="line 1: '00010101' is not a time that exists"):
        parse_allowed_signers(f'alice valid-after="00010101" {KEY}'.encode())


def test_revoked_keys_are_key_lines() -> None:
    text = f"# gone\n{KEY} comment\n\n {public_line(B)}\r\n{RSA}\n"
    assert parse_revoked(text.encode()) == frozenset({A, B})
    assert parse_revoked(b"") == frozenset()


@pytest.mark.parametrize(
    "line", ["x", "ssh-ed25519", "ssh-ed25519 AAAA", f"alice {KEY}", base64.b64encode(A).decode()]
)
def test_a_line_of_revoked_keys_that_is_none_is_an_error(line: str) -> None:
    with pytest.raises(TrustFileInvalid, match="revoked keys, line 2: "):
        parse_revoked(f"{KEY}\n{line}\n".encode())


def test_a_type_that_is_none_is_named_in_part() -> None:
    with pytest.raises(TrustFileInvalid) as caught:
        parse_revoked(b"x" * 50 + b" AAAA")
    assert f"{'x' * 40!r} is no type of a key" in str(caught.value)


def test_a_line_of_a_trust_file_may_have_as_many_bytes_as_are_read() -> None:
    key = public_line(public(1))
    room = MAX_LINE - len(f"me {key} ")
    assert len(parse_allowed_signers(f"me {key} {'c' * room}\n".encode())) == 1
    with pytest.raises(TrustFileInvalid, match="bytes long"):
        parse_allowed_signers(f"me {key} {'c' * (room + 1)}\n".encode())


def test_the_comment_of_a_key_file_is_the_principal_of_its_signer() -> None:
    key = public_line(public(1))
    principal, signer = parse_key_file(f"{key} me@host\n".encode())
    assert principal == signer.principals == "me@host"


def test_without_a_time_no_key_of_a_principal_is_past() -> None:
    key = public_line(public(1))
    text = f'me valid-before="20200101" {key}\n'.encode()
    other = Signer("me", public(2))
    with pytest.raises(PrincipalTaken):
        with_line(text, other)
    assert with_line(text, other, datetime(2026, 1, 1, tzinfo=UTC)) is not None
