from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from wmbackup.cli.render.next_steps import of_error
from wmbackup.errors import StoreReadOnly
from wmbackup.formats import recognize
from wmbackup.license import License
from wmbackup.status import Control
from wmbackup.stores.base import ItemWithheld
from wmbackup.stores.sample import NOTE, SampleStore


def licenses() -> list[License]:
    return list(SampleStore().licenses(Control()))


def test_the_sample_is_the_same_every_time() -> None:
    assert licenses() == licenses()
    assert len(licenses()) == 12


def test_every_key_id_and_license_id_is_its_own() -> None:
    for ids in ([found.kid for found in licenses()], [found.lid for found in licenses()]):
        known = [one for one in ids if one is not None]
        assert len(set(known)) == len(known) >= 9


def test_every_readable_license_says_that_it_is_synthetic() -> None:
    with SampleStore().export(Control()) as export:
        for path in export.paths:
            try:
                content = export.read(path)
            except ItemWithheld:
                continue
            assert isinstance(content.data, bytes)
            for found in content.licenses:
                if found.kind == "wmdrm-v7":
                    encoding = "utf-16" if content.data[:2] == b"\xff\xfe" else "utf-8"
                    text = content.data.decode(encoding)
                    assert f"<Description>{NOTE}</Description>" in text
                    assert f"<KID>{found.kid}</KID>" in text
                    assert f"<LID>{found.lid}</LID>" in text
                    assert found.attributes["Title"] in text
                if found.kind == "wmdrm-v1":
                    assert NOTE.encode() in base64.b64decode(content.data)


def test_one_license_is_withheld_and_never_given() -> None:
    (withheld,) = [found for found in licenses() if found.withheld]
    assert withheld.path == b"harbour/low-tide.lic"
    assert withheld.backup_allowed is False
    with SampleStore().export(Control()) as export, pytest.raises(ItemWithheld) as caught:
        export.read(withheld.path)
    (known,) = caught.value.licenses
    assert known.kid == withheld.kid
    assert known.withheld
    assert known.path is None


def test_the_licenses_are_recognized_in_the_files_as_they_are_stated() -> None:
    with SampleStore().export(Control()) as export:
        for path in export.paths:
            try:
                content = export.read(path)
            except ItemWithheld:
                continue
            assert isinstance(content.data, bytes)
            found = recognize(path.rpartition(b"/")[2], content.data)
            assert tuple(replace(one, path=path) for one in found) == content.licenses


def test_every_kind_of_the_sample_is_there() -> None:
    found = {known.kind for known in licenses()}
    assert found == {"wmdrm-v1", "wmdrm-v7", "wmdrm-response", "playready-header"}
    assert {known.backup_allowed for known in licenses()} == {True, False, None}
    assert any(known.expires for known in licenses())


def test_the_sample_takes_nothing_in() -> None:
    with pytest.raises(StoreReadOnly, match="built in") as caught:
        SampleStore().import_(Control(), replace=True)
    assert "folder:" in str(of_error(caught.value))
