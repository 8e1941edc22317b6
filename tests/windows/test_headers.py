"""Numbers and names are those of the public headers.

Nothing of this was copied from one into the other: a mistake in either shows.
"""

from __future__ import annotations

import pathlib
import re

import pytest

from tests.windows import headers
from wmbackup import hresult
from wmbackup.status import Status

HEADERS = (
    "nserror.h",
    "winerror.h",
    "wininet.h",
    "winhttp.h",
    "urlmon.h",
    "mferror.h",
    "ntstatus.h",
)


def names() -> dict[str, int]:
    rows = hresult.table().values()
    return {name: row.value for row in rows for name in (row.name, *row.aliases)}


def test_every_hresult_of_the_tables_is_in_a_header_with_its_number() -> None:
    known = {name: number for one in HEADERS for name, number in headers.numbers(one).items()}
    wrong = {
        name: f"0x{value:08X}"
        for name, value in names().items()
        if name not in known or headers.hresult_of(known[name]) != value
    }
    assert not wrong


def test_every_hresult_of_nserror_is_in_the_tables() -> None:
    ours = names()
    theirs = {
        name: number
        for name, number in headers.numbers("nserror.h").items()
        if re.match(r"NS_[A-Z]+_|MCMADM_", name)
    }
    assert len(theirs) > 1200
    assert {name for name in theirs if ours.get(name) != theirs[name]} == set()


def test_every_error_of_wininet_and_winhttp_is_in_the_tables() -> None:
    ours = names()
    pattern = re.compile(r"ERROR_(?:INTERNET|WINHTTP|HTTP|FTP|GOPHER)_(?!.*RESERVED)")
    theirs = {
        name
        for header in ("wininet.h", "winhttp.h")
        for name, number in headers.numbers(header).items()
        if pattern.match(name) and 12000 < number < 12200
    }
    assert len(theirs) > 100
    assert theirs - set(ours) == set()


def enumeration(header: str, name: str, prefix: str) -> dict[str, int]:
    """Return an enumeration of a header without its prefix."""
    body = re.search(rf"typedef enum {name} {{(.*?)}}", headers.text(header), re.DOTALL)
    assert body is not None
    return {m[1]: int(m[2]) for m in re.finditer(rf"{prefix}(\w+) = (\d+)", body[1])}


def test_every_status_is_that_of_the_header() -> None:
    theirs = enumeration("wmsdkidl.h", "WMT_STATUS", "WMT_")
    assert theirs.pop("END_OF_FILE") == theirs["EOF"]  # two names of one
    assert {status.name: int(status) for status in Status} == theirs


def declared(module: str) -> str:
    """Return the source of a declaration, which only Windows can import."""
    path = pathlib.Path(hresult.__file__).parent / "stores" / "windows" / f"{module}.py"
    return path.read_text(encoding="utf-8")


def test_the_data_types_are_those_of_the_header() -> None:
    theirs = enumeration("wmsdkidl.h", "WMT_ATTR_DATATYPE", "WMT_TYPE_")
    body = re.search(r"class DataType\(IntEnum\):(.*?)\n\n\n", declared("wmsdkidl"), re.DOTALL)
    assert body is not None
    assert {m[1]: int(m[2]) for m in re.finditer(r"    (\w+) = (\d+)", body[1])} == theirs


@pytest.mark.parametrize(
    ("module", "header", "names"),
    [
        ("wmsdkidl", "wmsdkidl.h", ("IWMLicenseBackup", "IWMLicenseRestore")),
        ("wmdrmsdk", "mfobjects.h", ("IMFMediaEvent",)),
    ],
)
def test_interfaces_have_the_iid_and_the_slots_of_the_header(
    module: str, header: str, names: tuple[str, ...]
) -> None:
    source = declared(module)
    for name in names:
        ours = re.search(rf'class {name}\(Interface\):.*?guid\("([^"]+)"\)', source, re.DOTALL)
        assert ours is not None
        assert ours[1].replace("-", "").lower() == iid(header, name)
        theirs = methods(header, name)
        body = source[ours.end() :].split("\n\n\n")[0]
        for method in re.finditer(r"    (\w+) = Method\(\s*(\d+),", body):
            assert theirs.index(method[1]) == int(method[2]), f"{name}::{method[1]}"


def test_the_callback_has_the_iid_and_the_slots_of_the_header() -> None:
    ours = re.search(r'IID_STATUS_CALLBACK: Final = guid\("([^"]+)"\)', declared("wmsdkidl"))
    assert ours is not None
    assert ours[1].replace("-", "").lower() == iid("wmsdkidl.h", "IWMStatusCallback")
    assert methods("wmsdkidl.h", "IWMStatusCallback")[3] == "OnStatus"


def iid(header: str, name: str) -> str:
    found = re.search(rf"DEFINE_GUID\(IID_{name}, ([^)]*)\)", headers.text(header))
    assert found is not None
    parts = [int(part, 16) for part in found[1].replace(" ", "").split(",")]
    return "".join(
        f"{part:0{width}x}" for part, width in zip(parts, (8, 4, 4, *[2] * 8), strict=True)
    )


def methods(header: str, name: str) -> list[str]:
    """Return the methods of an interface in the order of its slots."""
    table = re.search(
        rf"typedef struct {name}Vtbl {{(.*?)}} {name}Vtbl;", headers.text(header), re.DOTALL
    )
    assert table is not None
    return re.findall(r"\(STDMETHODCALLTYPE \*(\w+)\)", table[1])
