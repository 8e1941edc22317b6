"""Faults of the tar stream: the magic, headers, members, padding, the end, what is missing."""

from __future__ import annotations

from cases_good import one, three
from forge import BAG, BLOCK, COSIGNER, END, Draft, File, Member, draft, find, header, license_row
from forge import stream as joined
from vector import Vector, Vectors, damaged, keep

HEAD = (
    *(b"bagit.txt", b"tagmanifest-sha256.txt", b"tagmanifest-sha256.txt.sig"),
    *(b"README.txt", b"bag-info.txt"),
    *(b"files.jsonl", b"licenses.jsonl", b"manifest-sha256.txt"),
)
# What a missing member, or one that stands one place too late, makes of the archive.
VERDICTS = {b"bagit.txt": "unsupported", b"tagmanifest-sha256.txt.sig": "unsigned"}


# The vectors of each group that are kept as files.
KEPT_HEADERS = """
    header-mode header-mtime header-size-base-256 header-size-larger
    header-checksum-space-zero header-typeflag-zero header-magic-gnu header-prefix
    header-name-other header-of-bagit header-of-bag-info
"""
KEPT_HEAD_MEMBERS = """
    missing-bagit unsigned missing-readme missing-bag-info missing-licenses.jsonl
    missing-manifest-sha256 duplicate-bag-info reordered-readme
"""
KEPT_STRANGE_MEMBERS = """
    member-pax member-gnu-long-name member-directory member-extra-in-payload
    member-pax-global-first member-fetch member-extra-last
"""
KEPT_NUMBERING = """
    cosigner-gap cosigner-reordered cosigners-sixteen cosigner-without-maker time-stamp-early
"""
KEPT_PADDINGS = """
    padding-bagit-last padding-bag-info-last padding-a.lic-first padding-b.lic-last
"""
KEPT_ENDS = """
    end-missing end-one-block end-one-byte-more end-followed-by-text end-first-byte
    end-last-byte
"""
KEPT_PAYLOAD_MEMBERS = """
    missing-payload-first missing-payload-last missing-payload-large
    duplicate-payload-middle duplicate-payload-last reordered-payload
"""
KEPT_SIZES = """
    size-of-bagit-55 size-of-tagmanifest-sha256-478 size-of-sig-311 size-of-2.sig-311
    size-of-tsr-0 size-of-tsr-65537 size-of-readme-5604 size-of-bag-info-0
    size-of-bag-info-65537 size-of-files.jsonl-0 size-of-files.jsonl-2147483649
    size-of-licenses.jsonl-2147483649 size-of-manifest-sha256-2147483649
    size-of-manifest-sha256-2147483648
"""


def vectors() -> Vectors:
    """All of them."""
    yield from _magic()
    yield from keep(KEPT_HEADERS, _headers())
    yield from keep(KEPT_HEAD_MEMBERS, _head_members())
    yield from keep(KEPT_PAYLOAD_MEMBERS, _payload_members())
    yield from keep(KEPT_STRANGE_MEMBERS, _strange_members())
    yield from keep(KEPT_NUMBERING, _numbering())
    yield from keep(KEPT_PADDINGS, _paddings())
    yield from keep(KEPT_ENDS, _ends())
    yield from _truncations()
    yield from keep(KEPT_SIZES, _sizes())


def full() -> Draft:
    """One of each member, each with padding."""
    made = draft([File(b"%c.lic" % c, b"a license, %c\n" % c) for c in b"ab"], [license_row(None)])
    made.cosigners = (COSIGNER,)
    made.time_stamp = b"opaque"
    return made


def short(name: bytes) -> str:
    """A member's name as it stands in the name of a vector."""
    return name.decode().removeprefix("tagmanifest-sha256.txt.").partition(".txt")[0].lower()


def _magic() -> Vectors:
    raw = one().archive()
    for name, comment, archive, expect in (
        ("not-an-archive-empty", "no bytes at all", b"", "unsupported"),
        ("not-an-archive-19-bytes", "the magic without its last byte", raw[:19], "unsupported"),
        ("not-an-archive-magic", "the first byte is W", b"W" + raw[1:], "unsupported"),
        ("not-an-archive-gzip", "a gzip header", b"\x1f\x8b\x08" + bytes(17), "unsupported"),
        ("truncated-behind-magic", "the magic and no more", raw[:20], "truncated"),
    ):
        yield Vector(name=name, comment=comment, archive=archive, expect=expect)
    for number, comment in (
        (b"2", "major version 2"),
        (b"10", "a major version of two digits"),
        (b"01", "a number with a leading zero is no version, and no archive either"),
    ):
        bag = b"wmbackup-%s/" % number
        members = one().members()
        for member in members:
            member.head = header(bag + member.name, len(member.content))
        yield Vector(
            name=f"other-major-{number.decode()}",
            comment=comment,
            archive=joined(members),
            expect="unsupported",
        )
    yield Vector(
        name="other-major-name-only",
        comment="major version 2, of which only the name field is there",
        archive=b"wmbackup-2/bagit.txt".ljust(100, b"\0"),
        expect="unsupported",
    )
    members = one().members()
    members[0].head = header(BAG + b"bagit.txt2", len(members[0].content))
    yield damaged("magic-and-more", "the name goes on behind the magic", joined(members))


def _headers() -> Vectors:
    made = three()
    name = BAG + made.files[1].member
    size = len(made.files[1].data)
    right = header(name, size)
    total = int(right[148:154], 8)
    faults = {
        "mode": {"mode": b"0000644\0"},
        "mode-six-digits": {"mode": b"000600 \0"},
        "uid": {"uid": b"0001750\0"},
        "gid": {"gid": b"0001750\0"},
        "mtime": {"mtime": b"03560116605\0"},
        "size-with-space": {"size": b"%011o " % size},
        "size-without-zeros": {"size": b"%11o\0" % size},
        "size-base-256": {"size": b"\x80" + size.to_bytes(11, "big")},
        "size-larger": {"size": b"%011o\0" % (size + BLOCK)},
        "size-smaller": {"size": b"%011o\0" % (size - 1)},
        "checksum-seven-digits": {"chksum": b"%07o\0" % total},
        "checksum-space-zero": {"chksum": b"%06o \0" % total},
        "checksum-leading-space": {"chksum": b" %05o\0 " % total},
        "checksum-wrong": {"chksum": b"%06o\0 " % (total + 1)},
        "checksum-signed": {"chksum": bytes(8)},
        "typeflag-zero": {"typeflag": b"\0"},
        "typeflag-link": {"typeflag": b"1", "linkname": b"wmbackup-1/data/a.lic".ljust(100, b"\0")},
        "typeflag-symlink": {"typeflag": b"2", "linkname": b"../../x".ljust(100, b"\0")},
        "typeflag-directory": {"typeflag": b"5"},
        "typeflag-contiguous": {"typeflag": b"7"},
        "linkname": {"linkname": b"x".ljust(100, b"\0")},
        "magic-gnu": {"magic": b"ustar ", "version": b" \0"},
        "magic-v7": {"magic": bytes(6), "version": bytes(2)},
        "uname": {"uname": b"root".ljust(32, b"\0")},
        "gname": {"gname": b"root".ljust(32, b"\0")},
        "devmajor": {"devmajor": bytes(8)},
        "devminor": {"devminor": b"0000001\0"},
        "prefix": {"name": name[11:].ljust(100, b"\0"), "prefix": b"wmbackup-1".ljust(155, b"\0")},
        "rest": {"rest": bytes(11) + b"x"},
        "name-padding": {"name": (name + b"\0x").ljust(100, b"\0")},
        "name-other": {"name": name.replace(b"b.lic", b"x.lic").ljust(100, b"\0")},
        "name-case": {"name": name.replace(b"b.lic", b"B.lic").ljust(100, b"\0")},
    }
    for fault, fields in faults.items():
        members = made.members()
        members[-2].head = header(name, size, **fields)
        yield Vector(
            name=f"header-{fault}",
            comment=f"the header of the second of three files is another one: {fault}",
            archive=joined(members),
            released=made.data(1),
        )
    for member, fields in (
        (b"bagit.txt", {"mode": b"0000644\0"}),
        (b"bag-info.txt", {"prefix": b"x".ljust(155, b"\0")}),
        (b"files.jsonl", {"chksum": b"0000000\0"}),
    ):
        members = one().members()
        at = find(members, member)
        members[at].head = header(BAG + member, len(members[at].content), **fields)
        yield damaged(
            f"header-of-{short(member)}",
            f"the header of {member.decode()} has another {next(iter(fields))}",
            joined(members),
        )


def _head_members() -> Vectors:
    for name in HEAD:
        members = one().members()
        at = find(members, name)
        expect = VERDICTS.get(name, "damaged")
        yield Vector(
            name="unsigned" if expect == "unsigned" else f"missing-{short(name)}",
            comment=f"{name.decode()} is missing",
            archive=joined(members[:at] + members[at + 1 :]),
            expect=expect,
        )
        yield damaged(
            f"duplicate-{short(name)}",
            f"{name.decode()} is there twice",
            joined(members[: at + 1] + members[at:]),
        )
        if name != HEAD[-1]:
            members[at], members[at + 1] = members[at + 1], members[at]
            yield Vector(
                name=f"reordered-{short(name)}",
                comment=f"{name.decode()} and what follows it have changed places",
                archive=joined(members),
                expect=expect,
            )


def _payload_members() -> Vectors:
    made = three()
    for count, place in enumerate(("first", "middle", "last")):
        members = made.members()
        at = len(members) - 3 + count
        # A pipe meets a header that it does not expect; a length tells of what is missing.
        yield Vector(
            name=f"missing-payload-{place}",
            comment=f"the {place} of three files is missing",
            archive=joined(members[:at] + members[at + 1 :]),
            released=made.data(count),
            seekable_expect="truncated",
            seekable_released=b"",
        )
        yield Vector(
            name=f"duplicate-payload-{place}",
            comment=f"the {place} of three files is there twice",
            archive=joined(members[: at + 1] + members[at:]),
            released=made.data(count + 1),
            seekable_released=b"",
        )
    members = made.members()
    members[-2:] = members[:-3:-1]
    yield Vector(
        name="reordered-payload",
        comment="the second and the third file have changed places",
        archive=joined(members),
        released=made.data(1),
    )
    large = draft([File(b"a.lic", b"first"), File(b"b.lic", bytes(2000))])
    yield Vector(
        name="missing-payload-large",
        comment="a last file is missing that is larger than what follows it",
        archive=joined(large.members()[:-1]),
        released=large.data(1),
        seekable_expect="truncated",
        seekable_released=b"",
    )


def _strange_members() -> Vectors:
    path = b"30 path=wmbackup-1/data/b.lic\n"
    strange: dict[str, tuple[str, Member]] = {
        "pax": (
            "a PAX record",
            Member(b"", path, header(b"PaxHeaders/b.lic", len(path), typeflag=b"x")),
        ),
        "pax-global": (
            "a global PAX record",
            Member(b"", path, header(b"pax_global_header", len(path), typeflag=b"g")),
        ),
        "gnu-long-name": (
            "a GNU long name",
            Member(b"", path, header(b"././@LongLink", len(path), typeflag=b"L", magic=b"ustar ")),
        ),
        "directory": (
            "a directory member",
            Member(b"", b"", header(BAG + b"data/", 0, typeflag=b"5", mode=b"0000700\0")),
        ),
        "extra-in-payload": ("a file that is not listed", Member(b"data/aa.lic", b"extra")),
    }
    made = three()
    for name, (comment, member) in strange.items():
        members = made.members()
        members.insert(len(members) - 2, member)
        yield Vector(
            name=f"member-{name}",
            comment=f"{comment} before the second of three files",
            archive=joined(members),
            released=made.data(1),
            seekable_released=b"",
        )
    yield Vector(
        name="member-pax-global-first",
        comment="a global PAX record before everything: not the magic",
        archive=joined([strange["pax-global"][1], *made.members()]),
        expect="unsupported",
    )
    yield damaged(
        "member-directory-in-head",
        "a directory member before bag-info.txt",
        joined(_with(one().members(), b"bag-info.txt", strange["directory"][1])),
    )
    for name, before in (
        ("fetch", b"files.jsonl"),
        ("extra-behind-bagit", b"tagmanifest-sha256.txt"),
        ("extra-in-head", b"manifest-sha256.txt"),
    ):
        extra = Member(b"fetch.txt" if name == "fetch" else b"notes.txt", b"x\n")
        yield damaged(
            f"member-{name}",
            f"{extra.name.decode()} before {before.decode()}",
            joined(_with(one().members(), before, extra)),
        )
    made = one()
    yield Vector(
        name="member-extra-last",
        comment="a file that is not listed behind the last one",
        archive=joined([*made.members(), Member(b"data/b.lic", b"extra")]),
        released=made.data(),
        seekable_released=b"",
    )
    yield Vector(
        name="member-extra-before-payload",
        comment="manifest-sha512.txt behind the head",
        archive=joined(_with(made.members(), b"data/a.lic", Member(b"manifest-sha512.txt", b"x"))),
        released=b"",
    )


def _with(members: list[Member], before: bytes, extra: Member) -> list[Member]:
    at = find(members, before)
    return [*members[:at], extra, *members[at:]]


def _renamed(made: Draft, names: dict[bytes, bytes]) -> bytes:
    members = made.members()
    for member in members:
        member.name = names.get(member.name, member.name)
    return joined(members)


def _numbering() -> Vectors:
    tag = b"tagmanifest-sha256.txt"
    made = one()
    made.cosigners = (COSIGNER,)
    for name, comment, to in (
        ("gap", "the first cosigner is number 3", b".3.sig"),
        ("one", "the first cosigner is number 1", b".1.sig"),
        ("leading-zero", "the first cosigner is number 02", b".02.sig"),
    ):
        yield damaged(f"cosigner-{name}", comment, _renamed(made, {tag + b".2.sig": tag + to}))
    two = one()
    two.cosigners = (COSIGNER, COSIGNER)
    for name, comment, second in (
        ("duplicate", "two cosigners have the number 2", b".2.sig"),
        ("gap-later", "the cosigners are 2 and 4", b".4.sig"),
    ):
        yield damaged(f"cosigner-{name}", comment, _renamed(two, {tag + b".3.sig": tag + second}))
    swap = {tag + b".2.sig": tag + b".3.sig", tag + b".3.sig": tag + b".2.sig"}
    yield damaged("cosigner-reordered", "the cosigners are 3 and 2", _renamed(two, swap))
    many = one()
    many.cosigners = (COSIGNER,) * 16
    yield damaged("cosigners-sixteen", "one cosigner more than there can be", many.archive())
    yield damaged(
        "cosigner-without-maker",
        "a cosigner, and no maker before it",
        joined(member for member in made.members() if member.name != tag + b".sig"),
    )
    stamped = full()
    stamp = Member(tag + b".tsr", b"opaque")
    for name, comment, before in (
        ("early", "the time stamp stands before the cosigner", tag + b".2.sig"),
        ("first", "the time stamp stands before the maker's signature", tag + b".sig"),
        ("late", "the time stamp stands behind README.txt", b"bag-info.txt"),
    ):
        members = [member for member in stamped.members() if member.name != stamp.name]
        yield damaged(f"time-stamp-{name}", comment, joined(_with(members, before, stamp)))
    twice = _with(stamped.members(), b"README.txt", stamp)
    yield damaged("time-stamp-twice", "two time stamps", joined(twice))


def _paddings() -> Vectors:
    made = full()
    for at, member in enumerate(made.members()):
        payload = at - (len(made.members()) - len(made.files))
        for place, spot in (("first", 0), ("last", -1)):
            members = made.members()
            padding = bytearray(-len(member.content) % BLOCK)
            padding[spot] = 1
            members[at].padding = bytes(padding)
            if place == "first" and payload < 0:
                continue  # one of them is enough for a member of the head
            yield Vector(
                name=f"padding-{short(member.name.removeprefix(b'data/'))}-{place}",
                comment=f"the {place} byte of the padding of {member.name.decode()} is not zero",
                archive=joined(members),
                # The file's last byte comes before its padding.
                released=made.data(payload + 1) if payload >= 0 else b"",
            )


def _ends() -> Vectors:
    made = one()
    body = joined(made.members(), b"")
    for name, comment, end, expect in (
        ("missing", "the archive ends with its last member", b"", "truncated"),
        ("one-block", "one zero block only", bytes(BLOCK), "truncated"),
        ("one-byte-less", "1023 zero bytes", bytes(1023), "truncated"),
        ("one-byte-more", "1025 zero bytes", bytes(1025), "damaged"),
        ("records", "zeros up to a record of 10240 bytes", bytes(-len(body) % 10240), "damaged"),
        ("followed-by-text", "text behind the end", END + b"text", "damaged"),
        ("followed-by-archive", "an archive behind the end", END + made.archive(), "damaged"),
    ):
        yield Vector(
            name=f"end-{name}",
            comment=comment,
            archive=body + end,
            expect=expect,
            released=made.data(),
            seekable_released=b"",
        )
    for name, spot in (("first", 0), ("last", 1023)):
        changed = bytearray(END)
        changed[spot] = 1
        yield Vector(
            name=f"end-{name}-byte",
            comment=f"the {name} of the 1024 bytes is not zero",
            archive=body + bytes(changed),
            released=made.data(),
        )


def _truncations() -> Vectors:
    made = full()
    members = made.members()
    raw = made.archive()
    start = 0
    for at, member in enumerate(members):
        name = short(member.name.removeprefix(b"data/"))
        payload = max(at - (len(members) - len(made.files)), 0)
        content = start + BLOCK
        behind = content + len(member.content)
        cuts: list[tuple[str, int, int]] = [
            ("before", start, payload),
            ("in-header-of", start + 300, payload),
            ("behind-header-of", content, payload),
            ("in", content + len(member.content) // 2, payload),
            # The file is whole and proven; what is missing is not a part of it.
            ("in-padding-of", behind + 1, payload + (at >= len(members) - len(made.files))),
        ]
        for place, cut, released in cuts:
            if cut:
                yield Vector(
                    variant=place == "behind-header-of",
                    name=f"truncated-{place}-{name}",
                    comment=f"cut at byte {cut}: {place.replace('-', ' ')} {member.name.decode()}",
                    archive=raw[:cut],
                    expect="truncated",
                    released=made.data(released),
                    seekable_released=b"",
                )
        start = behind + -len(member.content) % BLOCK
    large = draft([File(b"a.lic", b"first"), File(b"b.lic", bytes(3 * 1024 * 1024))])
    raw = large.archive()
    yield Vector(
        name="truncated-in-large",
        comment="cut 100 bytes behind the header of a file of 3 MiB",
        archive=raw[: len(joined(large.members()[:-1], b"")) + BLOCK + 100],
        expect="truncated",
        released=large.data(1),
        seekable_released=b"",
    )


def _sizes() -> Vectors:
    # Each stream ends where the content would begin: a size is judged before it is read.
    tables = 2147483648
    signature = b"tagmanifest-sha256.txt"
    bounds: dict[bytes, tuple[int, ...]] = {
        b"bagit.txt": (53, 55),
        signature: (476, 478),
        signature + b".sig": (309, 311),
        signature + b".2.sig": (309, 311),
        signature + b".tsr": (0, 65537),
        b"README.txt": (5602, 5604),
        b"bag-info.txt": (0, 65537),
        b"files.jsonl": (0, tables + 1),
        b"licenses.jsonl": (tables + 1,),
        b"manifest-sha256.txt": (0, tables + 1),
    }
    made = full()
    for name, sizes in bounds.items():
        for size in sizes:
            yield _cut_behind_header(made, name, size, "damaged")
    # One of these may have to allocate what it believes: the largest size that is allowed.
    for name in (b"files.jsonl", b"licenses.jsonl", b"manifest-sha256.txt"):
        yield _cut_behind_header(made, name, tables, "truncated")


def _cut_behind_header(made: Draft, name: bytes, size: int, expect: str) -> Vector:
    members = made.members()
    at = find(members, name)
    return Vector(
        name=f"size-of-{short(name)}-{size}",
        comment=f"the header of {name.decode()} says {size} bytes, and nothing follows it",
        archive=joined(members[:at], b"") + header(BAG + name, size),
        expect=expect,
    )
