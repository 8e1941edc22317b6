from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import make
import pytest

from wmbackup.formats.media import Title, read_title, titles_in
from wmbackup.license import License


def read(data: bytes) -> Title | None:
    return read_title(io.BytesIO(data))


def test_what_a_protected_song_says() -> None:
    assert read(make.song()) == Title(
        kids=(make.KID,),
        title="Synthetic Song",
        artist="The Fixtures",
        distributor="Example Music Shop",
        acquisition_url=make.URL,
    )


def test_the_header_of_version_7() -> None:
    more = "<ContentDistributor>Shop</ContentDistributor>"
    text = make.wrmheader("2.0.0.0", (make.OTHER_KID,), more)
    title = read(make.asf(make.content_encryption(), make.extended_encryption(text)))
    assert title is not None
    assert title.kids == (make.KID, make.OTHER_KID)
    assert title.distributor == "Shop"


def test_a_playready_header_object() -> None:
    data = make.playready((1, make.wrmheader().encode("utf-16-le")), (3, b"store"))
    body = struct.pack("<I", len(data)) + data
    title = read(make.asf(make.asf_object(make.EXTENDED_ENCRYPTION, body)))
    assert title is not None
    assert title.kids == (make.KID,)
    assert title.acquisition_url == make.URL


def test_the_artist_and_the_shop_by_their_other_names() -> None:
    names = {"WM/AlbumArtist": "Album Artist", "WM/Provider": "Provider", "WM/Genre": "x"}
    title = read(make.asf(make.extended_description(names), make.content_encryption()))
    assert title is not None
    assert (title.title, title.artist, title.distributor) == (None, "Album Artist", "Provider")


def test_secrets_are_not_shown() -> None:
    assert "SECRET" not in repr(read(make.song()))


def test_text_is_fit_for_a_row() -> None:
    title = read(make.asf(make.content_description("a\x1b[0m\0tail"), make.content_encryption()))
    assert title is not None
    assert title.title == "a\ufffd[0m"
    assert title.artist == "The Fixtures"


def test_an_unprotected_song_has_no_key_id() -> None:
    assert read(make.asf(make.content_description())) is None
    assert read(make.asf(make.content_encryption(""))) is None


def test_long_objects_are_skipped() -> None:
    picture = make.extended_description({"Author": "x" * 30_000})
    picture = make.asf_object(make.EXTENDED_DESCRIPTION, picture[24:] + bytes(2**20))
    title = read(make.asf(picture, make.content_encryption()))
    assert title is not None
    assert title.artist is None


def test_objects_are_counted() -> None:
    filler = [make.asf_object(make.FILE_PROPERTIES, b"")] * 256
    assert read(make.asf(*filler, make.content_encryption())) is None
    assert read(make.asf(make.content_encryption(), count=0)) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF" * 20,
        make.song()[:29],
        make.HEADER + bytes(14),
        make.HEADER + struct.pack("<QIBB", 2**63, 2**31, 1, 2),
        make.asf(make.FILE_PROPERTIES + struct.pack("<Q", 23), make.content_encryption()),
        make.asf(make.FILE_PROPERTIES + struct.pack("<Q", 2**40), make.content_encryption()),
        make.HEADER
        + struct.pack("<QIBB", 2**64 - 1, 2, 1, 2)
        + make.FILE_PROPERTIES
        + struct.pack("<Q", 2**64 - 100),
        make.asf(make.asf_object(make.CONTENT_ENCRYPTION, b"")),
        make.asf(make.asf_object(make.CONTENT_ENCRYPTION, struct.pack("<I", 2**31))),
        make.asf(make.asf_object(make.CONTENT_DESCRIPTION, b"")),
        make.asf(make.asf_object(make.EXTENDED_DESCRIPTION, b"")),
        make.asf(make.asf_object(make.EXTENDED_DESCRIPTION, b"\xff\xff\xff\xff")),
        make.asf(make.asf_object(make.EXTENDED_ENCRYPTION, b"")),
        make.asf(make.extended_encryption("<WRMHEADER")),
    ],
)
def test_what_is_no_protected_song(data: bytes) -> None:
    assert read(data) is None


def test_titles_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "Artist").mkdir()
    (tmp_path / "Artist" / "b.WMA").write_bytes(make.song(make.OTHER_KID))
    (tmp_path / "z.wmv").write_bytes(make.song())
    (tmp_path / "a.wma").write_bytes(make.song())
    (tmp_path / "free.asf").write_bytes(make.asf())
    (tmp_path / "song.mp3").write_bytes(b"ID3" + make.song("mp3"))
    ticks: list[None] = []
    titles = titles_in(os.fsencode(tmp_path), lambda: ticks.append(None))
    assert {kid: title.path for kid, title in titles.items()} == {
        make.KID: os.fsencode(tmp_path / "a.wma"),
        make.OTHER_KID: os.fsencode(tmp_path / "Artist" / "b.WMA"),
    }
    assert len(ticks) == 7
    assert titles_in(str(tmp_path)) == titles


@pytest.mark.parametrize(
    "name", ["a.dvr-ms", "a.wm", "a.pya", "a.pyv", "a.ASF", "a.wma.bak", "a", "a.mp3", "a.tmp"]
)
def test_media_file_is_known_by_its_content_whatever_it_is_called(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(make.song())
    assert list(titles_in(str(tmp_path))) == [make.KID]


@pytest.mark.parametrize(
    "name",
    ["Content_Distributor", "ContentDistributor", "WM/ContentDistributor", "CONTENT_DISTRIBUTOR"],
)
def test_distributor_is_found_under_each_spelling(name: str) -> None:
    described = make.extended_description({name: "Shop"})
    title = read(make.asf(make.content_encryption(), described))
    assert title is not None
    assert title.distributor == "Shop"
    element = name.removeprefix("WM/")
    header = make.wrmheader("2.0.0.0", more=f"<{element}>Shop</{element}>")
    title = read(make.asf(make.extended_encryption(header)))
    assert title is not None
    assert title.distributor == "Shop"
    assert License("wmdrm-v7", attributes={name: "Shop"}).distributor == "Shop"


def test_links_and_pipes_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "song").write_bytes(make.song())
    (tmp_path / "in" / "link.wma").symlink_to(tmp_path / "song")
    (tmp_path / "in" / "circle").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "in" / "pipe.wma")
    assert titles_in(str(tmp_path / "in")) == {}


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        titles_in(str(tmp_path / "none"))


def test_what_cannot_be_read_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "a.wma").write_bytes(make.song())
    scandir = os.scandir

    def refuse(path: bytes) -> object:
        if path.endswith(b"closed"):
            raise PermissionError
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert list(titles_in(str(tmp_path))) == [make.KID]


def test_an_entry_that_cannot_be_examined_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Entry:
        name = b"folder"
        path = b"folder"

        def is_dir(self, *, follow_symlinks: bool) -> bool:
            raise PermissionError(follow_symlinks)

    @contextmanager
    def scandir(_path: bytes) -> Iterator[list[Entry]]:
        yield [Entry()]

    monkeypatch.setattr(os, "scandir", scandir)
    assert titles_in(str(tmp_path)) == {}


def test_depth_is_bounded(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 70)
    deep.mkdir(parents=True)
    (deep / "a.wma").write_bytes(make.song())
    assert titles_in(str(tmp_path)) == {}


def test_a_search_ends_when_its_caller_says_so(tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        titles_in(str(tmp_path), stop)
