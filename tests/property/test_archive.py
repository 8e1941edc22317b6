from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tests.archives import (
    COSIGNER,
    MAKER,
    Dribble,
    File,
    FileWriter,
    Taken,
    build,
    ignore,
    info,
    join,
    public,
    read,
    record,
    reseal,
    split,
)
from tests.property import strategies as draw
from wmbackup.archive import names, row_codec, sshsig, tag_files
from wmbackup.archive.names import NameCheck, give_names, is_safe, own_order
from wmbackup.archive.row_codec import FileRow
from wmbackup.errors import ArchiveDamaged, SignerUntrusted, UnsupportedArchive
from wmbackup.license import License
from wmbackup.true_path import is_path
from wmbackup.trust import Policy, Signer, TrustFileInvalid, parse_allowed_signers

# Round trips.


@given(draw.infos)
def test_bag_info_reads_back(found: tag_files.BagInfo) -> None:
    try:
        text = found.encode()
    except ValueError:
        # Surrogates that make up UTF-8 after all, or that are no bytes, cannot be written.
        assert any("\ud800" <= character <= "\udfff" for character in texts_of(found))
        return
    assert tag_files.parse_info(text) == found


def texts_of(found: tag_files.BagInfo) -> str:
    texts = (found.host, found.store, found.agent, found.machine, found.recipients)
    return "".join([*(text or "" for text in texts), *(value for _, value in found.other)])


@given(draw.values)
def test_an_escaped_value_is_one_line_without_controls(value: str) -> None:
    try:
        raw = value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        assume(False)
        raise
    text = tag_files.escape(value)
    assert len(text.splitlines()) == 1
    assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in text)
    assert text == text.strip(" ")
    assert tag_files.unescape(text).encode("utf-8", "surrogateescape") == raw


@given(draw.file_rows)
def test_file_rows_read_back(row: FileRow) -> None:
    assert row_codec.parse_file_row(row_codec.file_row(row)) == row


@given(draw.licenses(withheld=True), st.none() | st.just(b"data/a"))
def test_license_rows_read_back(license_: License, file: bytes | None) -> None:
    where = None if license_.withheld else file
    assert row_codec.parse_license_row(row_codec.license_row(license_, where)) == (license_, where)


@given(draw.files(), st.lists(draw.licenses(withheld=True), max_size=3))
def test_archives_read_back(files: list[File], known: list[License]) -> None:
    archive = build(files, known)
    found = read(archive, length=len(archive))
    by_path = {file.path: file for file in files}
    assert {item.path: data for item, data in found.released} == {
        path: file.data for path, file in by_path.items()
    }
    for item, data in found.released:
        file = by_path[item.path]
        said = (item.size, item.mtime_ns, item.attributes)
        assert said == (len(data), file.mtime_ns, file.attributes)
    carried = [
        replace(license_, path=item.path)
        for item, _ in found.released
        for license_ in by_path[item.path].licenses
    ]
    licenses = [row.license for row in found.inventory.rows() if row.license is not None]
    assert licenses == [*carried, *known]
    piped = read(Dribble(archive))  # type: ignore[arg-type] # it reads, as a pipe does
    assert piped.released == found.released
    assert again(archive) == archive


# Whatever the reader accepts, the writer reproduces.


def again(archive: bytes) -> bytes:
    # From nothing but what the reader says of it.
    found = read(archive)
    writer = FileWriter()
    known: dict[bytes | None, list[License]] = {}
    for license_ in filter(None, (row.license for row in found.inventory.rows())):
        known.setdefault(license_.path, []).append(replace(license_, path=None))
    for item, data in found.released:
        own = item.member == b"data/" + item.path
        row = FileRow(item.size, item.mtime_ns, None if own else item.path, item.attributes)
        writer.add(row, item.path if own else None, data, known.pop(item.path, ()))
    for license_ in known.pop(None, ()):
        writer.know(license_)
    assert not known
    output = io.BytesIO()
    writer.seal(output, found.info, lambda message: sshsig.sign(MAKER, message), ignore)
    return output.getvalue()


BASE = build(
    [
        File(b"A", b"1", 5, ("hidden",), (License("k", kid="x", rights={"a": 1}),)),
        File(b"b/c", b"22", 10**18),
        File(b"a", b"333", -1, (), (License("l"),)),
        File("\xe9".encode(), b"", 7),
        File(b"\xff", b"4", 0),
    ],
    [License("k", withheld=True)],
)
GENUINE = [data for _, data in read(BASE).released]
MEMBERS = split(BASE)
HEAD_FILES = ("bag-info.txt", "files.jsonl", "licenses.jsonl", "manifest-sha256.txt")


@settings(max_examples=800)
@given(st.sampled_from(HEAD_FILES), st.data())
def test_a_head_that_was_changed_and_signed_is_refused_or_canonical(
    name: str, data: st.DataObject
) -> None:
    text = data.draw(draw.mutated(MEMBERS[name]))
    archive = reseal(MEMBERS | {name: text})
    try:
        read(archive)
    except (ArchiveDamaged, UnsupportedArchive):
        return
    if not says_more(archive):
        assert again(archive) == archive


def says_more(archive: bytes) -> bool:
    # An unknown key is passed over, so that only its archive has it.
    members, known = split(archive), {*row_codec._FILE_KEYS, *row_codec._LICENSE_KEYS}
    table = members["files.jsonl"] + members["licenses.jsonl"]
    return any(set(json.loads(line)) - known for line in table.splitlines())


# Every parser refuses by name, or returns what encodes to the same bytes.


@settings(max_examples=600)
@given(st.data())
def test_parse_info_refuses_or_reads_what_it_would_write(data: st.DataObject) -> None:
    full = info(machine="m", chain="0f" * 16, sequence=3, other=(("X-a", "%\n"), ("X-b", " ")))
    text = data.draw(draw.mutated(full.encode()) | st.binary(max_size=40))
    try:
        found = tag_files.parse_info(text)
    except (ArchiveDamaged, UnsupportedArchive):
        return
    assert found.encode() == text


@given(st.data())
def test_parse_tag_manifest_refuses_or_reads_what_it_would_write(data: st.DataObject) -> None:
    good = MEMBERS["tagmanifest-sha256.txt"]
    text = data.draw(draw.mutated(good) | st.binary(max_size=40) | st.just(good))
    try:
        found = tag_files.parse_tag_manifest(text)
    except ArchiveDamaged:
        return
    assert tag_files.tag_manifest(found) == text


FILE_LINES = (
    b'{"size":1,"mtime":2,"mtime_ns":3,"attributes":["hidden"]}\n',
    b'{"size":10,"mtime":-2,"mtime_ns":0,"path":"a\\n","attributes":[]}\n',
    b'{"size":0,"mtime":0,"mtime_ns":0,"path_base64":"/w==","attributes":["archive","system"]}\n',
)


@settings(max_examples=1500)
@given(st.data())
def test_parse_file_row_refuses_or_reads_what_it_would_write(data: st.DataObject) -> None:
    line = data.draw(st.sampled_from(FILE_LINES).flatmap(draw.mutated) | st.binary(max_size=40))
    try:
        found = row_codec.parse_file_row(line)
    except (ArchiveDamaged, UnsupportedArchive):
        return
    assert row_codec.file_row(found) == line


@settings(max_examples=1000)
@given(st.data())
def test_parse_license_row_refuses_or_reads_what_it_would_write(data: st.DataObject) -> None:
    good = st.sampled_from(MEMBERS["licenses.jsonl"].splitlines(keepends=True))
    line = data.draw(good.flatmap(draw.mutated) | st.binary(max_size=40))
    try:
        license_, file = row_codec.parse_license_row(line)
    except (ArchiveDamaged, UnsupportedArchive):
        return
    assert row_codec.license_row(license_, file) == line


@settings(max_examples=400)
@given(st.data())
def test_a_signature_that_was_changed_is_refused(data: st.DataObject) -> None:
    message = MEMBERS["tagmanifest-sha256.txt"]
    good = MEMBERS["tagmanifest-sha256.txt.sig"]
    armored = data.draw(draw.mutated(good) | st.binary(max_size=400))
    if armored == good:
        assert sshsig.signer(armored, message) == public(1)
    else:
        with pytest.raises(ArchiveDamaged):
            sshsig.signer(armored, message)


@given(st.binary(max_size=64))
def test_what_was_signed_has_its_signer(message: bytes) -> None:
    assert sshsig.signer(sshsig.sign(COSIGNER, message), message) == public(2)


PRINCIPALS = st.text("ab@.*?,", min_size=1, max_size=5)


@given(PRINCIPALS, st.integers(1, 9), st.none() | draw.moments, st.none() | draw.moments)
def test_a_signer_that_is_written_reads_back(
    principals: str, seed: int, after: datetime | None, before: datetime | None
) -> None:
    assume(all(principals.split(",")))
    assume(after is None or before is None or after.timestamp() // 1 < before.timestamp() // 1)
    times = {"valid-after": after, "valid-before": before}
    options = [f'{name}="{time:%Y%m%d%H%M%S}Z"' for name, time in times.items() if time]
    line = " ".join(filter(None, [principals, ",".join(options), sshsig.public_line(public(seed))]))
    (found,) = parse_allowed_signers(line.encode())
    seconds = [time and time.replace(microsecond=0) for time in times.values()]
    assert found == Signer(principals, public(seed), *seconds)


SIGNERS = (
    f'a@b namespaces="archive@*",valid-after="20260101Z" {sshsig.public_line(public(1))} c\n'
    f'"c d" {sshsig.public_line(public(2))}\n# e\n'
).encode()


@settings(max_examples=800)
@given(draw.mutated(SIGNERS) | st.binary(max_size=80))
def test_a_trust_file_is_refused_by_name_or_names_keys_that_stand_in_it(text: bytes) -> None:
    try:
        found = parse_allowed_signers(text)
    except TrustFileInvalid:
        return
    for signer in found:
        assert sshsig.public_line(signer.key).split()[1].encode() in text


# Names.


def components(path: bytes) -> list[bytes]:
    return path.lower().split(b"/")


def collide(one: bytes, other: bytes) -> bool:
    first, second = components(one), components(other)
    shared = min(len(first), len(second))
    return first[:shared] == second[:shared]


ALLOWED = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._- /"
DEVICES = {b"con", b"prn", b"aux", b"nul"} | {
    port + b"%d" % number for port in (b"com", b"lpt") for number in range(10)
}


def model_is_safe(path: bytes) -> bool:
    # wmbackup-archive(5), Names, sentence by sentence.
    parts = path.split(b"/")
    return (
        len(path) <= 84
        and all(byte in ALLOWED for byte in path)
        and not parts[0].lower().startswith(b"item-")
        and not any(
            not part
            or part[:1] in {b" ", b"."}
            or part[-1:] in {b" ", b"."}
            or part.split(b".")[0].rstrip(b" ").lower() in DEVICES
            for part in parts
        )
    )


def model_names(paths: set[bytes]) -> tuple[list[bytes], list[bytes]]:
    own: list[bytes] = []
    for path in sorted(filter(model_is_safe, paths)):
        if not any(collide(path, taken) for taken in own):
            own.append(path)
    items = paths.difference(own)
    return sorted(own, key=components), sorted(items, key=lambda path: (path.lower(), path))


@settings(max_examples=1500)
@given(st.text("aAcoCOnN19lptLPTiIteEmM-. /_x", max_size=12) | st.text(max_size=8))
@example("x" * 84)
@example("x" * 85)
@example("con .a/b")
@example("a/COM0")
def test_safe_paths_are_those_of_the_model(text: str) -> None:
    path = text.encode("utf-8")
    assert is_safe(path) == model_is_safe(path)
    assert is_path(path) or not is_safe(path)


@settings(max_examples=500)
@given(draw.path_sets)
def test_names_are_those_of_the_model(paths: set[bytes]) -> None:
    naming = give_names(sorted(paths, reverse=True))
    assert (naming.own, naming.items) == model_names(paths)


@settings(max_examples=300)
@given(draw.path_sets)
def test_only_a_winner_changes_the_names_of_others_when_it_goes(paths: set[bytes]) -> None:
    naming = give_names(paths)
    for own in naming.own:
        if own not in naming.winners:
            assert set(give_names(paths - {own}).own) == set(naming.own) - {own}


def judged(own: Sequence[bytes], items: Sequence[bytes]) -> bool:
    def own_from(key: bytes) -> Iterator[bytes]:
        return (path for path in own if own_order(path) >= key)

    judge = NameCheck(own_from)
    if any(judge.own(path) for path in own):
        return False
    members = [names.item_member(number) for number in range(1, len(items) + 1)]
    # The first fault decides, as in a reader.
    return not any(judge.item(*named) for named in zip(members, items, strict=True))


CHANGES = ["own to item", "item to own", "swap own", "swap items"]


@settings(max_examples=800)
@given(draw.path_sets, st.sampled_from(CHANGES), st.integers(0, 11))
def test_the_check_accepts_what_give_names_makes_and_nothing_else(
    paths: set[bytes], change: str, at: int
) -> None:
    naming = give_names(paths)
    own, items = list(naming.own), list(naming.items)
    assert judged(own, items)
    if change == "own to item" and own:
        items = sorted([*items, own.pop(at % len(own))], key=names.item_order)
    elif change == "item to own" and items:
        own = sorted([*own, items.pop(at % len(items))], key=own_order)
    else:
        swapped = own if change == "swap own" else items
        at %= max(1, len(swapped))
        swapped[at : at + 2] = swapped[at : at + 2][::-1]
    assert judged(own, items) == (model_names(paths) == (own, items))


# Every byte is accounted for.


def refused(archive: bytes) -> Taken:
    taken = Taken()
    with pytest.raises((ArchiveDamaged, UnsupportedArchive)):
        read(archive, taken)
    released = [data for _, data in taken.released]
    assert released == GENUINE[: len(released)]
    return taken


PAYLOAD_AT = BASE.index(b"wmbackup-1/data/")


@settings(max_examples=3000)
@given(st.integers(0, len(BASE) * 8 - 1))
def test_any_flipped_bit_is_refused(bit: int) -> None:
    flipped = bytearray(BASE)
    flipped[bit // 8] ^= 1 << bit % 8
    taken = refused(bytes(flipped))
    assert not taken.released or bit // 8 >= PAYLOAD_AT


@settings(max_examples=500)
@given(st.integers(0, len(BASE) - 1))
def test_any_truncation_is_refused(end: int) -> None:
    refused(BASE[:end])


@given(st.binary(min_size=1, max_size=600))
def test_anything_behind_the_end_is_refused(more: bytes) -> None:
    refused(BASE + more)


@settings(max_examples=500)
@given(st.integers(0, len(BASE)), st.binary(min_size=1, max_size=3))
def test_any_insertion_is_refused(at: int, more: bytes) -> None:
    refused(BASE[:at] + more + BASE[at:])


@settings(max_examples=300)
@given(st.integers(0, len(BASE) // 512 - 1), st.integers(0, len(BASE) // 512 - 1))
def test_blocks_in_another_order_are_refused(one: int, other: int) -> None:
    blocks = [BASE[at : at + 512] for at in range(0, len(BASE), 512)]
    blocks[one], blocks[other] = blocks[other], blocks[one]
    changed = b"".join(blocks)
    assume(changed != BASE)
    refused(changed)


@given(
    st.sampled_from(sorted(MEMBERS)),
    st.sampled_from(["data/more", "data/item-0000009", "fetch.txt", "bagit.txt", "data/A"]),
    st.binary(max_size=20),
)
def test_an_extra_member_is_refused(behind: str, name: str, content: bytes) -> None:
    before, after = join(MEMBERS).split(record(behind, MEMBERS[behind]), 1)
    refused(before + record(behind, MEMBERS[behind]) + record(name, content) + after)


# Trust.


def slow_count(signers: Sequence[Signer], keys: Sequence[bytes]) -> int:
    # The most pairs of one key and one principal, by trying all.
    best = 0
    for at, key in enumerate(keys):
        for signer in signers:
            if signer.key == key:
                rest = [other for other in signers if other.principals != signer.principals]
                best = max(best, 1 + slow_count(rest, keys[at + 1 :]))
    return best


@settings(max_examples=500)
@given(
    st.lists(st.tuples(st.sampled_from("wxyz"), st.integers(1, 4)), max_size=7),
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
    st.sets(st.integers(1, 4), max_size=2),
    st.integers(1, 4),
)
def test_as_many_principals_are_counted_as_can_be_paired(
    lines: list[tuple[str, int]], seeds: list[int], revoked: set[int], required: int
) -> None:
    signers = [Signer(name, public(seed)) for name, seed in lines]
    policy = Policy(tuple(signers), frozenset(map(public, revoked)), required)
    keys = [public(seed) for seed in dict.fromkeys(seeds) if seed not in revoked]
    count = 0 if seeds[0] in revoked else slow_count(signers, keys)
    try:
        found = policy.check(public(seeds[0]), [public(seed) for seed in seeds[1:]])
    except SignerUntrusted:
        assert count < required
    else:
        assert len(found) == len(set(found)) == count >= required
