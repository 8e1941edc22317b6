from __future__ import annotations

# ruff: noqa: E402 (mypy reads the assertion: what stands below it is Windows alone)
import sys

assert sys.platform == "win32"

from collections.abc import Callable

import pytest

from tests.windows.harness import Double, Follower
from wmbackup.errors import Cancelled
from wmbackup.hresult import InterfaceCrashed, InterfaceError
from wmbackup.license import License
from wmbackup.status import WarningEvent
from wmbackup.stores.windows import com
from wmbackup.stores.windows.enumeration import enumerate_licenses
from wmbackup.stores.windows.reading import ACTIONS, Category, State, date, license_of, terms

BEGINS, BEGINS_TEXT = 116444736000000000, "1970-01-01T00:00:00Z"
EXPIRES, EXPIRES_TEXT = 125911584000000000, "2000-01-01T00:00:00Z"


def test_what_is_known_of_each(double: Double) -> None:
    double.script(
        "license xml KID-1== {LID-1}",
        "right Backup 1",
        "right Play 2 count 5",
        "right Copy 0",
        "license xml16 KID-2== {LID-2}",
        "right Backup 0",
        "right Play 1",
        "license xmr KID-3== {LID-3}",
        "license junk KID-4== {LID-4}",
    )
    first, second, third, fourth = enumerate_licenses()
    rights: dict[str, bool | int | str] = dict.fromkeys(ACTIONS.values(), False)
    rights |= {"AllowBackupRestore": True, "AllowPlay": True, "PlayCount": 5}
    assert first == License("wmdrm-v7", kid="KID-1==", lid="{LID-1}", rights=rights)
    assert (second.kid, second.lid, second.withheld) == ("KID-2==", "{LID-2}", True)
    assert second.backup_allowed is False
    assert third == License("playready-license")
    assert fourth == License("wmdrm-other")


def test_nothing_is_left_open_while_the_caller_works(double: Double) -> None:
    double.script("license xml KID-1 LID-1", "license xml KID-2 LID-2")
    licenses = enumerate_licenses()
    next(licenses)
    assert double.said("^stopped count=0$")


def test_what_was_lent_is_given_back(double: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    balance = {"lent": 0, "freed": 0}

    def counted(function: Callable[..., object], word: str) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            balance[word] += 1
            return function(*arguments)

        return call

    for name, word in [("_free", "freed"), ("_sys_alloc", "lent"), ("_sys_free", "freed")]:
        monkeypatch.setattr(com, name, counted(getattr(com, name), word))
    double.script("license xml KID-1 LID-1", "license xmr KID-2 LID-2", "license xml KID-3 LID-3")
    assert len(list(enumerate_licenses())) == 3
    balance["lent"] += 3  # one buffer for each license, allocated by the interface
    assert balance["lent"] == balance["freed"] > 3


@pytest.mark.parametrize(
    "script",
    [
        ["no-more 259"],
        ["no-more 0x80070103"],
        ["enumeration 0x80070103"],
        ["get-license 0x80070103"],
        ["get-license 0x80004005"],
    ],
)
def test_no_license_at_all(double: Double, script: list[str]) -> None:
    # What an empty store answers, and to which call, is not documented.
    double.script(*script)
    assert list(enumerate_licenses()) == []
    assert double.said("^stopped count=0$")


def test_a_single_license_is_listed(double: Double) -> None:
    double.script("license xml KID LID")
    assert [one.kid for one in enumerate_licenses()] == ["KID"]


def test_each_key_id_is_asked_about_once(double: Double) -> None:
    double.script("license xml KID LID-1", "right Backup 1", "license xml KID LID-2")
    first, second = enumerate_licenses()
    assert (first.backup_allowed, second.backup_allowed) == (True, True)
    assert sum("QueryLicenseState" in line for line in double.log()) == 1


def test_licenses_that_cannot_be_read(double: Double, follower: Follower) -> None:
    double.script("get-license 0xC00D2785", "license xml KID-1 LID-1", "license xml KID-2 LID-2")
    assert list(enumerate_licenses(follower.control)) == 2 * [License("wmdrm-other")]
    [event] = follower.events
    assert isinstance(event, WarningEvent)
    assert event.code == "license-unreadable"
    assert "NS_E_DRM_STUBLIB_REQUIRED" in event.message


def test_only_the_documented_action_is_answered(double: Double, follower: Follower) -> None:
    double.script(
        "other-actions 0x80070057",
        "license xml KID-1 LID-1",
        "right Backup 1",
        "license xml KID-2 LID-2",
        "right Backup 0",
    )
    first, second = enumerate_licenses(follower.control)
    assert (first.rights, second.rights) == (
        {"AllowBackupRestore": True},
        {"AllowBackupRestore": False},
    )
    assert follower.events == []


def test_rights_that_cannot_be_read(double: Double, follower: Follower) -> None:
    neither = ("query-state 0x80004005", "query-allowed 0x80004005")
    double.script(*neither, "license xml KID-1 LID-1", "license xml KID-2 LID-2")
    first, second = enumerate_licenses(follower.control)
    assert (first.rights, second.rights, first.withheld) == ({}, {}, False)
    assert [event.code for event in follower.events if isinstance(event, WarningEvent)] == [
        "rights-unreadable"
    ]


def test_the_query_comes_from_the_management(double: Double) -> None:
    double.script("query-by-interface", "license xml KID LID", "right Backup 1")
    assert [one.backup_allowed for one in enumerate_licenses()] == [True]


def test_no_query_at_all(double: Double) -> None:
    double.script("license xml KID LID", "no-query")
    assert [(one.kid, one.rights) for one in enumerate_licenses()] == [("KID", {})]


STEPS = ["startup", "provider", "create-object", "enumeration", "get-next"]


@pytest.mark.parametrize("step", STEPS)
def test_a_failure_at_any_step(double: Double, step: str) -> None:
    double.script(f"{step} 0xC00D2752", "license xml KID LID")
    with pytest.raises(InterfaceError) as caught:
        enumerate_licenses()
    assert caught.value.hresult == 0xC00D2752


def test_cancel(double: Double, follower: Follower) -> None:
    double.script("license xml KID LID")
    follower.stop = True
    with pytest.raises(Cancelled):
        enumerate_licenses(follower.control)
    assert double.said("^stopped count=0$")


CATEGORIES = [
    (Category.NO_RIGHT, "", False, None, None, None),
    (Category.UNLIMITED, "", True, None, None, None),
    (Category.COUNT, "count 3", True, 3, None, None),
    (Category.FROM, f"date {BEGINS}", True, None, BEGINS_TEXT, None),
    (Category.UNTIL, f"date {EXPIRES}", True, None, None, EXPIRES_TEXT),
    (Category.FROM_UNTIL, f"date {BEGINS} date {EXPIRES}", True, None, BEGINS_TEXT, EXPIRES_TEXT),
    (Category.COUNT_FROM, f"count 3 date {BEGINS}", True, 3, BEGINS_TEXT, None),
    (Category.COUNT_UNTIL, f"count 3 date {EXPIRES}", True, 3, None, EXPIRES_TEXT),
    (
        Category.COUNT_FROM_UNTIL,
        f"count 3 date {BEGINS} date {EXPIRES}",
        True,
        3,
        BEGINS_TEXT,
        EXPIRES_TEXT,
    ),
    (Category.AFTER_FIRST_USE, "count 3 date 36000000000", True, None, None, None),
]


@pytest.mark.parametrize(
    ("category", "more", "play", "count", "begins", "expires"),
    CATEGORIES,
    ids=[row[0].name for row in CATEGORIES],
)
def test_categories(
    double: Double,
    category: Category,
    more: str,
    play: bool,  # noqa: FBT001 (the same)
    count: int | None,
    begins: str | None,
    expires: str | None,
) -> None:
    double.script("license xml KID LID", f"right Play {category.value} {more}")
    [one] = enumerate_licenses()
    assert (one.rights["AllowPlay"], one.rights.get("PlayCount")) == (play, count)
    assert (one.begins, one.expires) == (begins, expires)


def test_the_numbers_of_the_categories() -> None:
    assert [one.value for one in Category] == list(range(10))
    assert [row[0].value for row in CATEGORIES] == list(range(10))


def test_a_state_with_less_than_it_promises() -> None:
    said = terms({"LicenseStateData.Play": State(Category.COUNT_FROM_UNTIL)})
    assert (said.rights, said.begins, said.expires) == ({"AllowPlay": True}, None, None)


@pytest.mark.parametrize("form", ["xml", "xml16"])
def test_what_its_text_says(double: Double, form: str) -> None:
    more = "<META><Title>Synthetic \u00fc</Title></META><ISSUEDATE>20050102Z</ISSUEDATE>"
    double.script(f"license {form} KID LID {more}", "right Backup 1")
    [one] = enumerate_licenses()
    assert (one.kid, one.lid, one.issued) == ("KID", "LID", "2005-01-02T00:00:00Z")
    assert one.attributes == {"Title": "Synthetic \u00fc"}


@pytest.mark.parametrize("data", [b"", b"<", b"no license", b"\xff\xfe<", b"<KID>x</KID>"])
def test_a_text_that_is_no_license(data: bytes) -> None:
    assert license_of(1, data) == License("wmdrm-other")


def test_dates() -> None:
    assert date(0) == "1601-01-01T00:00:00Z"
    assert date(0x7FFFFFFFFFFFFFFF) == "9223372036854775807"
    assert (date(BEGINS), date(EXPIRES)) == (BEGINS_TEXT, EXPIRES_TEXT)


@pytest.mark.parametrize(
    "method",
    [
        *("WMDRMStartup", "WMDRMCreateProvider", "IWMDRMProvider::CreateObject"),
        *("CreateLicenseEnumeration", "GetNext", "GetLicense", "QueryLicenseState"),
    ],
)
def test_a_crash_in_a_call_ends_the_enumeration_and_not_the_process(
    double: Double, method: str
) -> None:
    double.script("license xml A= {L}", f"break {method} here")
    try:
        list(enumerate_licenses())
    except InterfaceCrashed as error:
        assert method in error.call  # noqa: PT017 (some calls are done without)
    assert double.said(f"^breaks .*{method}$")
    double.forget()


def test_a_crash_while_everything_is_given_back_costs_no_license(double: Double) -> None:
    for method in ("Release", "WMDRMShutdown"):
        double.script("license xml A= {L}", f"break {method} here")
        assert len(list(enumerate_licenses())) == 1
        assert com.crashes
        com.crashes.clear()
    double.forget()


@pytest.mark.parametrize(("category", "withheld"), [(0, True), (1, False)])
def test_where_no_states_are_given_the_other_way_is_asked(
    double: Double,
    follower: Follower,
    category: int,
    withheld: bool,  # noqa: FBT001 (a parameter)
) -> None:
    double.script("query-state 0x80004001", "license xml A= {L}", f"right Backup {category}")
    [found] = enumerate_licenses(follower.control)
    assert (found.withheld, found.backup_allowed) == (withheld, not withheld)
    assert double.said("^query-allowed A= ActionAllowed.Backup$")
    assert follower.events == []
