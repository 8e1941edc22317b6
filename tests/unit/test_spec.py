"""The manual page wmbackup-archive(5) and the code say the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from wmbackup.archive import constants, row_codec, sshsig, tag_files, ustar
from wmbackup.archive.stream import MAGIC
from wmbackup.errors import UnsupportedArchive
from wmbackup.item import ATTRIBUTES, MAX_SIZE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "man" / "wmbackup-archive.5").read_text(encoding="utf-8")


def section(title: str) -> str:
    begin = re.search(rf"^\.S[hs] {re.escape(title)}$", PAGE, flags=re.MULTILINE)
    assert begin is not None
    return re.split(r"^\.S[hs] ", PAGE[begin.end() :], maxsplit=1, flags=re.MULTILINE)[0]


def lines(pattern: str, title: str) -> list[Any]:
    return re.findall(rf"^{pattern}$", section(title), flags=re.MULTILINE)


def displays(text: str) -> list[str]:
    found = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", text, flags=re.MULTILINE | re.DOTALL)
    return [unescaped(display) for display in found]


def unescaped(text: str) -> str:
    # \& is nothing, \- a hyphen, \e a backslash, \('e an é: the escapes that the page uses.
    marks = {"&": "", "-": "-", "e": "\\", "('e": "\xe9", "(aq": "'", "(ha": "^"}
    return re.sub(r"\\(&|-|e|\('e|\(aq|\(ha)", lambda mark: marks[mark[1]], text)


def test_the_page_shows_the_readme_to_the_letter() -> None:
    assert displays(section("THE README")) == [tag_files.README.decode()]


def test_the_page_has_the_hash_of_the_readme() -> None:
    assert displays(section("README.txt")) == [tag_files.sha256(tag_files.README) + "\n"]


def test_the_page_shows_bagit_txt() -> None:
    assert displays(section("bagit.txt")) == [tag_files.BAGIT.decode()]


def sizes() -> dict[str, str]:
    found = lines(r"\.It wmbackup-1/(\S+) Ta (.*)", "Members")
    return dict(found)


def test_the_page_has_the_members_in_order_with_their_sizes() -> None:
    assert list(sizes().items()) == [
        ("bagit.txt", str(len(tag_files.BAGIT))),
        ("tagmanifest-sha256.txt", str(tag_files.TAG_MANIFEST_SIZE)),
        ("tagmanifest-sha256.txt.sig", str(sshsig.ARMORED_SIZE)),
        ("tagmanifest-sha256.txt.N.sig", f"{sshsig.ARMORED_SIZE}; N from 2, at most 16"),
        ("tagmanifest-sha256.txt.tsr", "1 to 65536; optional"),
        ("README.txt", str(len(tag_files.README))),
        ("bag-info.txt", f"1 to {tag_files.MAX_INFO}"),
        ("files.jsonl", f"1 to {constants.MAX_TABLE}"),
        ("licenses.jsonl", f"0 to {constants.MAX_TABLE}"),
        ("manifest-sha256.txt", f"1 to {constants.MAX_TABLE}"),
        ("data/...", f"0 to {MAX_SIZE}"),
    ]
    assert f"1 to {constants.MAX_FILES} members" in PAGE


def test_the_page_has_the_header_that_the_code_makes() -> None:
    block = ustar.header(b"n", 8)
    fields = re.findall(
        r"^\.It (\d+) Ta (\d+) Ta (?:(\w+) )?Ta (.*)$", section("Header"), flags=re.MULTILINE
    )
    assert [int(offset) for offset, *_ in fields] == [
        sum(int(length) for _, length, *_ in fields[:at]) for at in range(len(fields))
    ]
    for offset, length, name, content in fields:
        found = block[int(offset) : int(offset) + int(length)]
        literal = re.match(r"Li (\S+)( No and a zero byte)?", content)
        if literal is not None and name not in {"size", "chksum"}:
            assert found == literal[1].encode() + (b"\0" if literal[2] else b""), name
        elif not name or content == "zero bytes":
            assert found == bytes(int(length)), name
        else:
            assert name in {"name", "size", "chksum"}
    assert sum(int(length) for _, length, *_ in fields) == ustar.BLOCK


def test_the_page_has_the_labels_of_bag_info_in_order() -> None:
    labels = lines(r"\.It Li (\S+?)(?: Pq optional)?", "bag-info.txt")
    optional = lines(r"\.It Li (\S+) Pq optional", "bag-info.txt")
    assert tuple(labels) == tuple(tag_files._GRAMMAR)
    assert tuple(optional) == tag_files._OPTIONAL


def test_a_critical_label_is_named_as_on_the_page() -> None:
    (prefix,) = re.findall(
        r"^\.Li (WMBackup-Critical-)$", section("bag-info.txt"), flags=re.MULTILINE
    )
    with pytest.raises(UnsupportedArchive):
        tag_files.parse_info(f"WMBackup-Format: 1\n{prefix}X: y\n".encode())


def test_the_page_has_the_keys_of_the_rows_in_order() -> None:
    keys = lines(r"\.It Cm (.*)", "files.jsonl")
    assert tuple(keys) == row_codec._FILE_KEYS
    keys = lines(r"\.It Cm (.*)", "licenses.jsonl")
    found = tuple(key for line in keys for key in line.split(" , "))
    assert found == row_codec._LICENSE_KEYS
    assert ".Li " + " , ".join(ATTRIBUTES) + " ," in section("files.jsonl")
    assert f"at most {row_codec.MAX_LINE} bytes" in PAGE


def test_the_example_rows_are_rows() -> None:
    examples = displays(section("EXAMPLES"))
    file_lines = examples[1].encode().splitlines(keepends=True)
    for line in file_lines:
        assert row_codec.file_row(row_codec.parse_file_row(line)) == line
    assert row_codec.parse_file_row(file_lines[1]).path == "caf\xe9.lic".encode()
    line = examples[2].replace("\n", "").encode() + b"\n"
    license_, file = row_codec.parse_license_row(line)
    assert row_codec.license_row(license_, file) == line


def test_the_examples_are_the_commands_of_the_readme() -> None:
    example = displays(section("EXAMPLES"))[0].replace("\\\n    ", "").splitlines()
    readme = [line.strip() for line in tag_files.README.decode().splitlines()]
    substitutes = {"ARCHIVE": "backup.wmbackup.tar", "SIGNERS": "allowed_signers"}
    for command in example:
        found = command
        for placeholder, value in substitutes.items():
            found = found.replace(value, placeholder)
        assert found in readme


def test_the_page_names_namespace_magic_and_blob() -> None:
    assert f".Li {sshsig.NAMESPACE.decode()}" in PAGE
    assert f".Li {MAGIC.decode()} ," in PAGE
    assert len(MAGIC) == 20
    text = section("SIGNATURES")
    fields = re.findall(r"^\.It (\d+) Ta (\d+) Ta ", text, flags=re.MULTILINE)
    offset = 0
    for at, length in fields:
        assert int(at) == offset
        offset += int(length)
    assert f"these {offset} bytes" in text
    assert displays(text)[0].splitlines()[0].encode() + b"\n" == sshsig._BEGIN


def test_the_page_has_the_longest_safe_path() -> None:
    assert f"at most {constants.MAX_OWN} bytes long" in PAGE
    assert ustar.MAX_NAME - len("wmbackup-1/data/") == constants.MAX_OWN
