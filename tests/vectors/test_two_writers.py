"""Two writers that share nothing make the same bytes, and the reader accepts them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime

import forge
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_vectors import Parsed, Pipe, run

from tests.archives import FileWriter
from wmbackup.archive.names import give_names
from wmbackup.archive.row_codec import FileRow
from wmbackup.archive.sshsig import sign
from wmbackup.archive.tag_files import BagInfo

# Few letters and short components, so that twins, prefixes, devices and unsafe names are common.
COMPONENTS = st.one_of(
    st.text("aAbB.- \\é", min_size=1, max_size=3).map(str.encode),
    st.sampled_from([b"con", b"CON.x", b"com1 .x", b"item-1", b"Item-", b"\xff", b"n" * 84]),
).filter(lambda part: part not in {b".", b".."})
PATHS = st.lists(COMPONENTS, min_size=1, max_size=3).map(b"/".join)


def by_wmbackup(paths: Sequence[bytes]) -> bytes:
    naming = give_names(paths)
    writer = FileWriter(io.BytesIO)
    for path in (*naming.own, *naming.items):
        own = path in set(naming.own)
        row = FileRow(len(path), 1161234567 * 10**9, None if own else path, ("archive",))
        writer.add(row, path if own else None, path)
    info = BagInfo(
        archive_id=forge.ID,
        created=datetime.strptime(forge.CREATED, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC),
        host="VECTOR",
        store_kind="folder",
        store="synthetic",
        signer=forge.MAKER.fingerprint,
        withheld=0,
        skipped=0,
        octets=0,
        files=0,
        agent="forge",
    )
    output = io.BytesIO()
    writer.seal(output, info, lambda text: sign(forge.MAKER.private, text), lambda _done: None)
    writer.close()
    return output.getvalue()


@settings(deadline=None)  # a slow machine is no failure
@given(st.lists(PATHS, min_size=1, max_size=12, unique=True))
@example([b"a b", b"a/b", b"a-b", b"A", b"a", b"B/c", b"b"])
@example([b"A/b", b"a", b"a/c", b"A/B"])
def test_the_same_paths_make_the_same_archive(paths: list[bytes]) -> None:
    made = forge.draft(forge.File(path, path) for path in paths)
    archive = made.archive()
    assert archive == by_wmbackup(paths)
    parsed = Parsed(archive, {"trusted": [forge.MAKER.trusted()]})
    released = ("ok", made.data())
    assert run(parsed, Pipe(archive), None) == released  # type: ignore[arg-type]
    assert run(parsed, io.BytesIO(archive), len(archive)) == released


@settings(deadline=None)  # a slow machine is no failure
@given(st.lists(PATHS, min_size=2, max_size=6, unique=True), st.data())
def test_no_other_naming_is_accepted(paths: list[bytes], data: st.DataObject) -> None:
    right = forge.name_files(forge.File(path, path) for path in paths)
    own = data.draw(st.sets(st.sampled_from(paths)))
    order = data.draw(st.permutations(paths))
    files: list[forge.File] = []
    items = 0
    for path in [p for p in order if p in own] + [p for p in order if p not in own]:
        items += path not in own
        member = b"data/" + path if path in own else b"data/item-%07d" % items
        files.append(forge.File(path, path).at(member, None if path in own else path))
    if files == right or any(len(file.member) > 89 for file in files):
        return
    archive = forge.Draft(files).archive()
    parsed = Parsed(archive, {"trusted": [forge.MAKER.trusted()]})
    assert run(parsed, io.BytesIO(archive), len(archive)) == ("damaged", b"")
