from __future__ import annotations

import io
from collections.abc import Sequence
from typing import IO, Any

import pytest

from tests.archives import (
    BAG,
    COSIGNER,
    MAKER,
    Anyone,
    Dribble,
    File,
    Members,
    Taken,
    build,
    ignore,
    info,
    join,
    opened,
    private,
    public,
    read,
    record,
    reseal,
    split,
    spool,
    trusted,
)
from wmbackup.archive import sshsig, tag_files
from wmbackup.archive.reader import SealedArchive
from wmbackup.archive.stream import PIECE_SIZE
from wmbackup.archive.ustar import END
from wmbackup.cli.render.next_steps import of_error
from wmbackup.errors import (
    ArchiveDamaged,
    ArchiveTruncated,
    ArchiveUnsigned,
    NotAnArchive,
    UnsupportedArchive,
)

FILES = (
    File(b"A", b"first"),
    File(b"b/c", b"x" * 512),
    File(b"z", b""),
    File(b"a?", b"item" * 200),
)
ARCHIVE = build(FILES)
MEMBERS = split(ARCHIVE)
PAYLOAD_AT = ARCHIVE.index(b"wmbackup-1/data/A\0")
NAMES = tuple(MEMBERS)
HEAD = NAMES[:8]


def starts() -> dict[str, int]:
    found, at = {}, 0
    for name, content in MEMBERS.items():
        found[name] = at
        at += len(record(name, content))
    return found


STARTS = starts()


def replaced(name: str, content: bytes) -> bytes:
    return join(MEMBERS | {name: content})


def test_an_archive_says_who_signed_what_it_is_and_what_it_holds() -> None:
    found = read(ARCHIVE, length=len(ARCHIVE))
    assert found.maker == public(1)
    assert found.cosigners == ()
    assert found.tag_manifest == MEMBERS["tagmanifest-sha256.txt"]
    assert found.info == info(octets=1317, files=4)
    assert [(item.path, data) for item, data in found.released] == [
        (file.path, file.data) for file in FILES
    ]
    assert found.verified == [b"data/A", b"data/b/c", b"data/z", b"data/item-0000001"]


@pytest.mark.parametrize("most", [1, 511, 512, 513, 100_000])
def test_a_pipe_is_read_as_it_comes(most: int) -> None:
    found = read(Dribble(ARCHIVE, most))  # type: ignore[arg-type] # it reads, as a pipe does
    assert [data for _, data in found.released] == [file.data for file in FILES]


@pytest.mark.parametrize("count", [1, 2, 15])
def test_cosigners_are_numbered_from_two(count: int) -> None:
    keys = [private(seed) for seed in range(2, 2 + count)]
    found = read(reseal(MEMBERS, cosigners=keys))
    assert found.cosigners == tuple(public(seed) for seed in range(2, 2 + count))
    assert len(found.released) == 4


SIGNED = split(reseal(MEMBERS, cosigners=[COSIGNER, private(3)]))
SIG = "tagmanifest-sha256.txt.{}.sig"


def renamed(names: dict[str, str]) -> bytes:
    return join({names.get(name, name): content for name, content in SIGNED.items()})


@pytest.mark.parametrize(
    "archive",
    [
        renamed({SIG.format(2): SIG.format(3), SIG.format(3): SIG.format(4)}),
        renamed({SIG.format(3): SIG.format(4)}),
        renamed({}).replace(
            record(SIG.format(2), SIGNED[SIG.format(2)]),
            record(SIG.format(2), SIGNED[SIG.format(2)]) * 2,
        ),
        renamed({SIG.format(2): SIG.format(1)}),
        renamed({SIG.format(2): SIG.format("02")}),
        renamed({"tagmanifest-sha256.txt.sig": SIG.format(1)}),
        join({n: t for n, t in SIGNED.items() if n != SIG.format(2)}),
        join({n: t for n, t in SIGNED.items() if n != "tagmanifest-sha256.txt.sig"}),
        join(SIGNED | {SIG.format(2): sshsig.sign(COSIGNER, b"another")}),
        join(SIGNED | {SIG.format(3): bytes(310)}),
        join(SIGNED | {SIG.format(3): SIGNED[SIG.format(3)] + b"\n"}),
        reseal(MEMBERS, cosigners=[private(seed) for seed in range(2, 18)]),
    ],
)
def test_cosigners_that_are_not_right_are_damage(archive: bytes) -> None:
    with pytest.raises(ArchiveDamaged) as caught:
        read(archive)
    assert type(caught.value) is ArchiveDamaged


def stamped(content: bytes, behind: str = "tagmanifest-sha256.txt.sig") -> bytes:
    found: Members = {}
    for name, text in MEMBERS.items():
        found[name] = text
        if name == behind:
            found["tagmanifest-sha256.txt.tsr"] = content
    return join(found)


@pytest.mark.parametrize("size", [1, 512, 65536])
def test_a_time_stamp_is_passed_over(size: int) -> None:
    assert len(read(stamped(b"\xff" * size)).released) == 4


@pytest.mark.parametrize(
    ("size", "behind"),
    [(0, HEAD[2]), (65537, HEAD[2]), (1, HEAD[0]), (1, HEAD[1]), (1, HEAD[3]), (1, HEAD[7])],
)
def test_a_time_stamp_of_another_size_or_place_is_damage(size: int, behind: str) -> None:
    with pytest.raises(ArchiveDamaged):
        read(stamped(bytes(size), behind))


def test_an_archive_without_a_signature_is_unsigned() -> None:
    bare = join({name: text for name, text in MEMBERS.items() if not name.endswith(".sig")})
    with pytest.raises(ArchiveUnsigned) as caught:
        read(bare)
    assert of_error(caught.value) is not None


@pytest.mark.parametrize("name", NAMES)
def test_a_member_that_is_missing_is_damage(name: str) -> None:
    archive = join({other: text for other, text in MEMBERS.items() if other != name})
    with pytest.raises((ArchiveDamaged, NotAnArchive)):
        read(archive)


@pytest.mark.parametrize("name", NAMES)
def test_a_member_twice_is_damage(name: str) -> None:
    again = record(name, MEMBERS[name])
    at = STARTS[name]
    taken = Taken()
    with pytest.raises(ArchiveDamaged):
        read(ARCHIVE[:at] + again + ARCHIVE[at:], taken)
    assert len(taken.released) <= 4


@pytest.mark.parametrize("at", range(len(NAMES) - 1))
def test_members_in_another_order_are_damage(at: int) -> None:
    order = [*NAMES[:at], NAMES[at + 1], NAMES[at], *NAMES[at + 2 :]]
    with pytest.raises((ArchiveDamaged, NotAnArchive)):
        read(join({name: MEMBERS[name] for name in order}))


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_content_is_damage(name: str) -> None:
    text = MEMBERS[name]
    for content in (text + b"x", text[:-1] + b"\1" if text else b"y", b""):
        if content != text:
            taken = Taken()
            with pytest.raises(ArchiveDamaged):
                read(replaced(name, content), taken)
            assert all(data in {file.data for file in FILES} for _, data in taken.released)


SIZES = {
    "bagit.txt": (53, 55),
    "tagmanifest-sha256.txt": (476, 478),
    "tagmanifest-sha256.txt.sig": (309, 311),
    "README.txt": (5602, 5604),
    "bag-info.txt": (0, 65537),
    "files.jsonl": (0, 2 * 1024**3 + 1),
    "licenses.jsonl": (2 * 1024**3 + 1,),
    "manifest-sha256.txt": (0, 2 * 1024**3 + 1),
}


@pytest.mark.parametrize(("name", "size"), [(n, s) for n, found in SIZES.items() for s in found])
def test_a_size_is_checked_before_the_content_is_read(name: str, size: int) -> None:
    at = STARTS[name]
    head = ARCHIVE[at : at + 512]
    digits = b"%011o" % size
    total = sum(head[:124]) + sum(digits) + sum(head[136:148]) + 8 * 32 + sum(head[156:])
    lying = head[:124] + digits + head[135:148] + b"%06o\0 " % total + head[156:]
    with pytest.raises(ArchiveDamaged, match="it must have") as caught:
        read(ARCHIVE[:at] + lying)
    assert type(caught.value) is ArchiveDamaged


FIXED = ("bagit.txt", "README.txt")


@pytest.mark.parametrize("name", FIXED)
def test_a_fixed_text_is_fixed_even_where_it_is_signed(name: str) -> None:
    other = MEMBERS[name].replace(b"i", b"j", 1)
    with pytest.raises(ArchiveDamaged, match="than the format defines"):
        read(reseal(MEMBERS | {name: other}))


@pytest.mark.parametrize("name", tag_files.TAGGED)
def test_every_line_of_the_tag_manifest_is_compared(name: str) -> None:
    hashes = tag_files.parse_tag_manifest(MEMBERS["tagmanifest-sha256.txt"])
    signed = tag_files.tag_manifest(hashes | {name: tag_files.sha256(b"another")})
    signature = sshsig.sign(MAKER, signed)
    changed = {"tagmanifest-sha256.txt": signed, "tagmanifest-sha256.txt.sig": signature}
    with pytest.raises(ArchiveDamaged, match="is not the one that was signed"):
        read(join(MEMBERS | changed))


def test_the_header_behind_the_last_cosigner_is_read_as_well() -> None:
    archive = reseal(MEMBERS, cosigners=[private(seed) for seed in range(2, 17)])
    end = archive.index(b"wmbackup-1/README.txt")
    with pytest.raises(ArchiveTruncated):
        trusted(archive[:end])


def test_the_header_behind_the_signatures_is_checked_before_trust_is_asked() -> None:
    changed = bytearray(ARCHIVE)
    changed[STARTS["README.txt"] + 511] = 1
    policy = Anyone()
    with pytest.raises(ArchiveDamaged, match=r"the header of wmbackup-1/README\.txt is not the"):
        trusted(bytes(changed), policy=policy)
    assert not policy.asked


def test_the_maker_is_the_one_that_bag_info_names() -> None:
    with pytest.raises(ArchiveDamaged, match="another key than it says"):
        read(reseal(MEMBERS, maker=COSIGNER))
    assert len(read(reseal(MEMBERS, maker=MAKER)).released) == 4


def test_what_bag_info_needs_and_nobody_knows_is_unsupported() -> None:
    text = MEMBERS["bag-info.txt"]
    with pytest.raises(UnsupportedArchive, match="format 2"):
        read(reseal(MEMBERS, bag_info_txt=text.replace(b"Format: 1", b"Format: 2")))
    with pytest.raises(UnsupportedArchive, match="Critical"):
        read(reseal(MEMBERS, bag_info_txt=text + b"WMBackup-Critical-X: y\n"))


def test_a_tag_file_is_verified_before_it_is_parsed() -> None:
    text = MEMBERS["bag-info.txt"].replace(b"Format: 1", b"Format: 2")
    with pytest.raises(ArchiveDamaged, match="not the one that was signed"):
        read(replaced("bag-info.txt", text))
    rows = MEMBERS["files.jsonl"].replace(b'"size":5', b'"size":x')
    with pytest.raises(ArchiveDamaged, match=r"files\.jsonl is not the one"):
        read(replaced("files.jsonl", rows))


class Counted(io.BytesIO):
    most = 0

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self.most = max(self.most, self.tell())
        return found


def test_nothing_behind_a_step_is_read_before_the_next_one() -> None:
    # Each step reads to here and no further: a stream that ends there is not missed yet.
    stream = Counted(ARCHIVE)
    read_by: list[int] = []

    class Policy(Anyone):
        def check(self, *arguments: Any, **more: Any) -> tuple[str, ...]:
            read_by.append(stream.most)
            return super().check(*arguments, **more)

    found = SealedArchive(stream).authenticate(Policy())
    inventory = found.read_head(spool)
    read_by.append(stream.most)
    assert list(inventory.verify_payload())
    read_by.append(stream.most)
    limits = [STARTS["README.txt"] + 512, STARTS["files.jsonl"], PAYLOAD_AT, len(ARCHIVE)]
    assert all(at <= limit for at, limit in zip(read_by, limits, strict=True))
    assert read_by[-1] == len(ARCHIVE)


def test_a_truncation_at_any_block_is_seen_and_releases_only_what_is_verified() -> None:
    for end in {*range(0, len(ARCHIVE), 256), *range(len(ARCHIVE) - 1100, len(ARCHIVE), 7)}:
        taken = Taken()
        wanted = NotAnArchive if end < 20 else ArchiveTruncated
        with pytest.raises(wanted) as caught:
            read(ARCHIVE[:end], taken)
        assert type(caught.value) is wanted
        assert [data for _, data in taken.released] == [
            file.data for file in FILES[: len(taken.released)]
        ]
        if end < PAYLOAD_AT:
            assert taken.released == []


@pytest.mark.parametrize("more", [b"\0", b"x", bytes(512), bytes(9216), ARCHIVE])
def test_what_follows_the_end_is_damage(more: bytes) -> None:
    with pytest.raises(ArchiveDamaged, match="follows the end"):
        read(ARCHIVE + more)
    taken = Taken()
    with pytest.raises(ArchiveDamaged, match="follows the end"):
        read(ARCHIVE + more, taken, len(ARCHIVE + more))
    assert taken.released == []


def test_a_known_length_is_compared_before_anything_is_released() -> None:
    taken = Taken()
    with pytest.raises(ArchiveTruncated, match=f"its last 1 of {len(ARCHIVE)} bytes"):
        read(ARCHIVE[:-1], taken, len(ARCHIVE) - 1)
    assert taken.released == []


def payload_changed(position: int, offset: int) -> bytes:
    at = STARTS[NAMES[8 + position]] + offset
    changed = bytearray(ARCHIVE)
    changed[at] ^= 1
    return bytes(changed)


@pytest.mark.parametrize(
    ("position", "offset", "released"),
    [(0, 0, 0), (0, 511, 0), (0, 512, 0), (0, 517, 1), (1, 512, 1), (2, 150, 2), (3, 512 + 799, 3)],
)
def test_a_file_is_released_when_it_is_verified_and_never_before(
    position: int, offset: int, released: int
) -> None:
    for receiver in (Taken(), None):
        verified = opened(payload_changed(position, offset)).verify_payload(receiver)
        assert [next(verified).first for _ in range(released)] == list(range(released))
        with pytest.raises(ArchiveDamaged):
            next(verified)
        if receiver is not None:
            assert len(receiver.released) == released


BIG = (
    File(b"a", b"small"),
    File(b"b", bytes(PIECE_SIZE - 512)),
    File(b"c", b"\1" * (PIECE_SIZE - 511)),
    File(b"d", b"\2" * PIECE_SIZE),
    File(b"e", b"\3" * (PIECE_SIZE + 1)),
    File(b"f", b"\4" * (2 * PIECE_SIZE + 100)),
    File(b"g", b"last"),
)
BIG_ARCHIVE = build(BIG)


def test_large_files_are_staged_and_then_accepted() -> None:
    taken = Taken()
    found = read(BIG_ARCHIVE, taken, len(BIG_ARCHIVE))
    assert [(item.path, data) for item, data in found.released] == [
        (file.path, file.data) for file in BIG
    ]
    assert [staging.item.path for staging in taken.staged] == [b"e", b"f"]


def test_sound_files_are_verified_many_at_once() -> None:
    inventory = opened(ARCHIVE)
    (chunk,) = inventory.chunks()
    assert list(inventory.verify_payload()) == [chunk]


def test_files_that_nobody_wants_are_verified_all_the_same() -> None:
    for chosen in ({0, 4}, {3}, {2, 6}, set()):
        found = read(BIG_ARCHIVE, wanted=chosen.__contains__)
        assert [item.path for item, _ in found.released] == [BIG[at].path for at in sorted(chosen)]
        assert len(found.verified) == len(BIG)
        with pytest.raises(ArchiveDamaged, match="data/f is not"):
            read(big_changed(5, 512 + PIECE_SIZE), wanted=chosen.__contains__)


def big_changed(position: int, offset: int) -> bytes:
    name = b"wmbackup-1/data/" + BIG[position].path + b"\0"
    changed = bytearray(BIG_ARCHIVE)
    changed[BIG_ARCHIVE.index(name) + offset] ^= 1
    return bytes(changed)


@pytest.mark.parametrize("position", range(len(BIG)))
@pytest.mark.parametrize("where", ["header", "first", "last", "padding"])
def test_a_large_file_that_is_damaged_is_staged_at_most(position: int, where: str) -> None:
    size = len(BIG[position].data)
    offsets = {"header": 100, "first": 512, "last": 511 + size, "padding": 512 + size}
    if where == "padding" and not -size % 512:
        offsets["padding"] = 0  # there is none to change
    taken = Taken()
    with pytest.raises(ArchiveDamaged):
        read(big_changed(position, offsets[where]), taken)
    # The padding is judged behind the file, which is proven by then.
    whole = position + (offsets[where] >= 512 + size)
    assert [item.path for item, _ in taken.released] == [file.path for file in BIG[:whole]]


def extracted(
    archive: bytes, chosen: Sequence[int], taken: Taken, *, before: bytes = b""
) -> list[int]:
    stream = io.BytesIO(before + archive)
    stream.seek(len(before))
    inventory = opened(stream, len(archive))
    inventory.check(ignore)
    inventory.check_length()
    wanted = bytearray(index in chosen for index in range(inventory.info.files))
    return [chunk.first for chunk in inventory.extract(wanted, taken)]


@pytest.mark.parametrize("before", [b"", b"x" * 700])
@pytest.mark.parametrize("chosen", [(0,), (3,), (1, 2, 5), (6,), tuple(range(7)), ()])
def test_single_files_are_read_with_one_seek_each(chosen: Sequence[int], before: bytes) -> None:
    taken = Taken()
    assert extracted(BIG_ARCHIVE, chosen, taken, before=before) == list(chosen)
    assert [(item.path, data) for item, data in taken.released] == [
        (BIG[at].path, BIG[at].data) for at in chosen
    ]


def test_a_file_that_has_become_shorter_is_told_where_it_ends() -> None:
    length = len(BIG_ARCHIVE) - 1024 - 512 - 300  # in the last header
    inventory = opened(BIG_ARCHIVE[:length], len(BIG_ARCHIVE))
    inventory.check(ignore)
    inventory.check_length()
    files = inventory.info.files
    with pytest.raises(ArchiveTruncated, match=f"ends at byte {length},"):
        list(inventory.extract(bytearray([0] * (files - 1) + [1])))


def test_a_single_file_is_verified_before_it_is_released() -> None:
    for position in range(7):
        for offset in (0, 512):
            taken = Taken()
            with pytest.raises(ArchiveDamaged):
                extracted(big_changed(position, offset), (position,), taken)
            assert taken.released == []
            others = [at for at in range(7) if at != position]
            assert extracted(big_changed(position, offset), others, Taken()) == others


def test_the_padding_behind_a_single_file_is_checked_as_well() -> None:
    for position in (0, 2, 4, 5, 6):
        taken = Taken()
        name = BIG[position].path.decode()
        with pytest.raises(ArchiveDamaged, match=f"the padding of data/{name} is not zero"):
            extracted(big_changed(position, 512 + len(BIG[position].data)), (position,), taken)
        assert [item.path for item, _ in taken.released] == [BIG[position].path]


def test_a_head_that_fails_gives_its_private_files_back() -> None:
    made: list[IO[bytes]] = []

    def counted() -> IO[bytes]:
        made.append(io.BytesIO())
        return made[-1]

    found = trusted(replaced("manifest-sha256.txt", b"x"))
    with pytest.raises(ArchiveDamaged):
        found.read_head(counted)
    assert made
    assert all(file.closed for file in made)


def test_a_head_that_passes_keeps_its_private_files() -> None:
    found = read(ARCHIVE)
    assert sum(chunk.end - chunk.offset for chunk in found.inventory.chunks()) == len(
        ARCHIVE
    ) - PAYLOAD_AT - len(END)
    found.inventory.close()


def test_padding_of_the_head_is_zero() -> None:
    for name in HEAD:
        padding_at = STARTS[name] + 512 + len(MEMBERS[name])
        if padding_at % 512:
            changed = bytearray(ARCHIVE)
            changed[padding_at] = 1
            with pytest.raises(ArchiveDamaged, match=f"the padding of wmbackup-1/{name} is"):
                read(bytes(changed))


def test_padding_of_the_payload_is_zero() -> None:
    for name, start in STARTS.items():
        padding_at = start + 512 + len(MEMBERS[name])
        if name.startswith("data/") and padding_at % 512:
            changed = bytearray(ARCHIVE)
            changed[padding_at] = 1
            with pytest.raises(ArchiveDamaged, match=f"the padding of {name} is not zero"):
                read(bytes(changed))


def test_a_row_that_says_another_size_is_damage() -> None:
    rows = MEMBERS["files.jsonl"].replace(b'"size":5,', b'"size":4,')
    text = info(octets=1316, files=4).encode()
    taken = Taken()
    with pytest.raises(ArchiveDamaged, match="the header of data/A is not where"):
        read(reseal(MEMBERS, files_jsonl=rows, bag_info_txt=text), taken)
    assert taken.released == []


def test_the_prefix_of_every_member_is_the_bag() -> None:
    assert all(ARCHIVE[at:].startswith((BAG + name).encode()) for name, at in STARTS.items())
    assert MEMBERS["README.txt"] == tag_files.README
