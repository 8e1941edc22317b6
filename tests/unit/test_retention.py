"""Which archives are kept, held against ``restic forget``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import restic

from wmbackup.history.retention import RetentionPolicy, Span, reasons_to_keep

_NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


def _policy(rules: dict[str, int]) -> RetentionPolicy:
    counts = {rule: rules[rule] for rule in ("last", "daily", "weekly", "monthly", "yearly")}
    return RetentionPolicy(**counts, within=Span(rules["days"], rules["hours"] * 3600))


def _kept(moments: list[datetime], rules: dict[str, int], zone: str) -> list[int]:
    reasons = reasons_to_keep(moments, _policy(rules), ZoneInfo(zone))
    return [number for number, some in enumerate(reasons) if some]


@pytest.mark.parametrize("zone", restic.ZONES)
def test_the_kept_set_is_that_of_restic(zone: str) -> None:
    cases = [case for case in restic.table() if case.zone == zone]
    assert len(cases) > 50
    for case in cases:
        assert _kept(case.moments, case.rules, zone) == case.kept, case.rules


def test_restic_answers_today_as_in_the_table(tmp_path: Path) -> None:
    """The table is of the restic that is installed: a few snapshots show it."""
    zone = "Europe/Berlin"
    times = ["2025-03-23 02:30:00", "2025-03-23 03:30:00", "2025-03-24 02:59:00"]
    times += ["2025-03-29 23:30:00", "2025-03-30 00:30:00", "2025-03-31 02:59:00"]
    repository = restic.Restic(tmp_path)
    repository.add("host", times, zone)
    moments = repository.moments("host")
    assert len(moments) == len(times)
    nothing = dict.fromkeys(restic.policies()[0], 0)
    for rules in (nothing | {"daily": 3}, nothing | {"days": 8}, nothing | {"weekly": 2}):
        kept = [moments[number] for number in _kept(moments, rules, zone)]
        assert kept == repository.kept("host", rules, zone), rules


def test_policy_without_a_rule_is_false() -> None:
    assert not RetentionPolicy()
    assert not RetentionPolicy(within=Span())
    assert RetentionPolicy(last=1)
    assert RetentionPolicy(within=Span(seconds=1))


def test_within_counts_from_the_newest_archive_and_not_from_now() -> None:
    old = [_NOON - timedelta(days=days) for days in (0, 1, 2)]
    kept = reasons_to_keep(old, RetentionPolicy(within=Span(days=2)), UTC)
    assert kept == [("within",), ("within",), ()]


def test_a_day_of_a_span_is_one_of_the_calendar() -> None:
    """A day before noon is noon, also where the clock was set forward in between."""
    zone = ZoneInfo("Europe/Berlin")
    noon = datetime(2025, 3, 30, 12, tzinfo=zone)
    assert Span(days=1).before(noon, zone) == datetime(2025, 3, 29, 12, tzinfo=zone)
    assert Span(seconds=86_400).before(noon, zone) == datetime(2025, 3, 29, 11, tzinfo=zone)


def test_span_beyond_the_calendar_reaches_back_to_its_beginning() -> None:
    assert Span(days=10**6).before(_NOON) == datetime.min.replace(tzinfo=UTC)
    assert Span(days=10**12).before(_NOON, UTC) == datetime.min.replace(tzinfo=UTC)


def test_no_archives_need_no_reasons() -> None:
    assert reasons_to_keep([], RetentionPolicy(last=1, within=Span(days=1))) == []


def test_reasons_name_every_rule_that_keeps_an_archive() -> None:
    moments = [_NOON, _NOON - timedelta(hours=1), _NOON - timedelta(days=40)]
    policy = RetentionPolicy(last=1, daily=2, monthly=2, within=Span(days=1))
    assert reasons_to_keep(moments, policy, UTC) == [
        ("within", "last", "daily", "monthly"),
        ("within",),
        ("daily", "monthly"),
    ]
