"""`list` on stores of people: what is at risk, where it was bought, when it ends."""

from __future__ import annotations

import json
import re

import make
import pytest

from tests.archives import File, build, public
from tests.cli.program import Inside
from wmbackup.archive import sshsig
from wmbackup.license import License

TRUST = ("--allowed-signers", "signers")
CLOSED = make.right("AllowBackupRestore", "0")
QUIET = ("--no-notice", "--store", "store")


def craft(inside: Inside, *known: License) -> None:
    """Make an archive in which these are in no file."""
    inside.write("a.tar", build([File(b"file", b"x")], known))
    inside.write("signers", f"stranger {sshsig.public_line(public(1))}\n".encode())


def cells(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines()]


def song(title: str, shop: str, url: str, **more: str | None) -> License:
    attributes = {"Title": title, "ContentDistributor": shop, "LicenseAcquisitionURL": url}
    known = {name: value for name, value in attributes.items() if value}
    expires = more.get("expires")
    rights = {"AllowBackupRestore": False} if expires is None else {}
    return License("wmdrm-v7", expires=expires, rights=rights, attributes=known)


def test_what_is_at_risk_stands_together_by_shop_and_address(inside: Inside) -> None:
    craft(
        inside,
        song("1", "Zeta", "https://b.example"),
        song("2", "", ""),
        song("3", "Zeta", "https://a.example"),
        song("4", "alpha", "https://z.example", expires="2999-01-01T00:00:00Z"),
        song("5", "Zeta", "https://b.example", expires="2001-01-01T00:00:00Z"),
        song("6", "", "https://nameless.example", expires="one day"),
        License("wmdrm-v7", attributes={"Title": "safe"}, rights={"AllowBackupRestore": True}),
        License("wmdrm-v7", attributes={"Title": "7"}, rights={"ExpirationAfterFirstUse": 24}),
        License(
            "wmdrm-v7",
            attributes={"Title": "8", "LicenseDistributor": "Beta", "LicenseDistributorURL": "u"},
            rights={"ExpirationOnStore": "x"},
        ),
    )
    result = inside("list", "a.tar", "--at-risk", *TRUST)
    found = [(row[2], row[0], row[1], row[4]) for row in cells(result.out)]
    forbidden = "its issuer forbids the backup"
    assert found == [
        (
            "6",
            "",
            "https://nameless.example",
            "its time ends on a date that cannot be read (one day)",
        ),
        ("4", "alpha", "https://z.example", "its time ends 2999-01-01T00:00:00Z"),
        ("8", "Beta", "u", "it expires some time after it is stored (ExpirationOnStore x)"),
        ("3", "Zeta", "https://a.example", forbidden),
        ("1", "Zeta", "https://b.example", forbidden),
        ("5", "Zeta", "https://b.example", "its time ended 2001-01-01T00:00:00Z"),
        ("2", "", "", forbidden),
        ("7", "", "", "it expires some time after it is used (ExpirationAfterFirstUse 24)"),
    ]
    assert "hint: ask the shops" in result.err
    assert "hint" not in inside("list", "a.tar", "--at-risk", "--quiet", *TRUST).err
    again = inside("list", "a.tar", "--at-risk", "--sort", "title", *TRUST).out
    assert [row[0] for row in cells(again)] == [shop for _title, shop, _url, _why in found]


@pytest.mark.parametrize("odd", ["20041301Z", "2004 perhaps, or notZ", "0000-00-00", "ffffffff"])
def test_a_date_that_cannot_be_read_is_neither_over_nor_near(inside: Inside, odd: str) -> None:
    craft(inside, License("wmdrm-v1", kid="odd", expires=odd))
    assert inside("list", "a.tar", "--expired", *TRUST).out == ""
    assert inside("list", "a.tar", "--expires-within", "999999w", *TRUST).out == ""
    assert f"\t{odd}\t" in inside("list", "a.tar", *TRUST).out
    assert f"expires:  {odd}" in inside("list", "a.tar", "--long", *TRUST).out.replace(": ", ":  ")


def test_what_has_no_date_comes_behind_what_cannot_be_read(inside: Inside) -> None:
    dates = ("#odd", None, "2999-01-01T00:00:00Z", "2001-01-01T00:00:00Z")
    craft(inside, *(License("wmdrm-v7", kid="k", expires=date) for date in dates))
    found = cells(inside("list", "a.tar", "--sort", "expires", "--kid", "k", *TRUST).out)
    assert [row[8] for row in found] == ["2001-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "#odd", ""]


def test_a_restricted_license_has_one_line_and_the_title_of_its_song(inside: Inside) -> None:
    inside.write("store/closed.lic", make.v7(data=CLOSED, meta={}).encode())
    inside.write("media/song.wma", make.song())
    arguments = (*QUIET, "--match-media", "media")
    result = inside("list", *arguments)
    (row,) = cells(result.out)
    assert row[4:7] == [make.KID, "Synthetic Song", "Example Music Shop"]
    assert row[9] == "withheld"
    assert "restricted" not in result.err
    lines = [
        line for line in inside("list", *arguments, "--json").lines if line["type"] == "license"
    ]
    assert [line["attributes"]["LicenseAcquisitionURL"] for line in lines] == [make.URL]
    assert make.URL in inside("list", *arguments, "--at-risk").out


def test_a_media_file_adds_what_the_license_does_not_say(inside: Inside) -> None:
    guid = "{03020100-0504-0706-0809-0A0B0C0D0E0F}"  # that of make.KID
    inside.write("store/a.lic", make.v7(guid, meta={"Title": "Own"}).encode())
    inside.write("media/song.wma", make.song())
    (row,) = cells(inside("list", *QUIET, "--match-media", "media").out)
    assert row[5:7] == ["Own", "Example Music Shop"]


def test_media_file_of_any_name_matches_a_key_id_in_its_other_alphabet(inside: Inside) -> None:
    inside.write("store/a.lic", make.v7("+/+//+++AAAA+/+//+++AQ==", meta={}).encode())
    inside.write("media/recording.dvr-ms", make.song("!*!**!!!AAAA!*!**!!!AQ=="))
    (row,) = cells(inside("list", *QUIET, "--match-media", "media").out)
    assert row[5:7] == ["Synthetic Song", "Example Music Shop"]
    assert cells(inside("list", *QUIET, "--kid", "!*!**!!!AAAA!*!**!!!AQ==").out)


def test_the_kind_that_was_found_is_named(inside: Inside) -> None:
    inside.write("store/drmv2.lic", b"x")
    inside.write("store/drmv2.sst", b"x")
    told = r"store \(drm store\): 2 files, 2 licenses, 2 B, in [\d.]+ s\n"
    assert re.fullmatch(told, inside("list", *QUIET).err)
    assert inside("list", *QUIET, "--json").lines[-1]["result"]["store_kind"] == "drm"
    dry = ("backup", "--dry-run", *QUIET)
    assert re.search(r"from the drm store, in [\d.]+ s; nothing", inside(*dry).out)
    assert inside(*dry, "--json").lines[-1]["result"]["store_kind"] == "drm"
    assert inside("list", "--no-notice", "--store", "folder:store").err.startswith(
        "folder:store (f"
    )


def test_files_without_a_license_are_of_the_kind_that_is_shown(inside: Inside) -> None:
    inside.write("store/a.lic", make.v7().encode())
    inside.write("store/b.txt", b"x")
    assert [row[0] for row in cells(inside("list", *QUIET, "--kind", "file").out)] == ["b.txt"]


def test_a_summary_names_the_restricted_first_and_no_more_than_three(inside: Inside) -> None:
    inside("key", "create")
    for name in "abcd":
        meta = {"Title": f"Song {name}"}
        text = make.v7(f"free-{name}") + make.v7(f"kid-{name}", data=CLOSED, meta=meta)
        inside.write(f"store/{name}.lic", text.encode())
    inside.write("store/plain", b"x")
    out = inside("backup", *QUIET, "-o", "a.tar").out
    named = ", ".join(f'"Song {name}" (key ID kid-{name})' for name in "abc")
    assert f"; 8 licenses withheld: {named} and 5 more; 4 files skipped" in out


def test_what_differs_is_counted_and_chosen_by_titles_of_media(inside: Inside) -> None:
    inside("key", "create")
    over = make.right("ExpirationDate", "#20010101Z#")
    inside.write("store/a.lic", make.v7(data=over, meta={}).encode())
    inside.write("store/b.lic", make.v7(make.OTHER_KID, data=over, meta={}).encode())
    inside.write("media/song.wma", make.song())
    inside("backup", *QUIET, "-o", "a.tar")
    inside.write("empty/x", b"x")
    store = ("list", "--no-notice", "--store", "empty", "--against", "a.tar")
    result = inside(*store)
    assert result.code == 11
    assert result.err.splitlines() == [
        "+ only in empty, - only in a.tar, ~ in both, with different content",
        "empty (folder store): 1 file added, 2 gone (2 of them expired: no damage), 0 changed",
    ]
    verified = inside("verify", "a.tar", "--against", "empty")
    listed = inside("list", "a.tar", "--against", "empty")
    signs = result.out.splitlines()
    assert [line[0] for line in signs] == ["+", "-", "-"]
    assert signs == listed.out.splitlines() == verified.out.splitlines()[:-1]
    assert result.err.splitlines()[0] == listed.err.splitlines()[0] == verified.err.strip()
    counts = "1 file added, 2 gone (2 of them expired: no damage), 0 changed"
    assert all(counts in said for said in (result.err, listed.err, verified.out))
    assert (verified.code, "ok" in verified.out) == (11, False)
    json = inside("verify", "a.tar", "--against", "empty", "--json").summary
    assert json["result"]["archives"][0]["ok"] is False
    chosen = inside(*store, "--match-media", "media", "--title", "synthetic")
    assert chosen.out == "- a.lic (expired: such licenses delete themselves)\n"


@pytest.mark.parametrize(
    "host", ["vm by wmbackup@boss", "x" * 60_000, "a\nwmbackup: ok", 'q" by "r']
)
def test_a_host_cannot_pass_for_words_of_the_program(
    inside: Inside, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setattr("platform.node", lambda: host)
    inside("key", "create")
    inside("backup", "--store", "sample", "-o", "a.tar")
    for command in (("verify", "a.tar"), ("restore", "a.tar", "--to", "t", "--dry-run")):
        result = inside(*command, "--no-notice")
        assert result.code in {0, 3}
        text = result.out + result.err
        assert f" on {host}" not in text
        assert re.search(r' on "(?:[^"\\]|\\.){1,130}"', text)
        assert max(map(len, text.splitlines())) < 1000
    parsed = json.loads(inside("verify", "a.tar", "--json").out.splitlines()[-1])
    assert parsed["type"] == "summary"


def test_columns_are_chosen(inside: Inside) -> None:
    inside.write("store/a b.lic", make.v7().encode())
    assert inside("list", *QUIET, "--columns", "title,path,size").out == (
        f"{make.META['Title']}\ta b.lic\t{len(make.v7())}\n"
    )
    assert inside("list", *QUIET, "--columns", "size", "-v").out.startswith("size\n")
    for other in ("--long", "--json", "--at-risk"):
        result = inside("list", *QUIET, "--columns", "size", other)
        assert result.code == 2
    assert inside("list", *QUIET, "--columns", "nothing").code == 2
