"""Which archives are kept, held against ``restic forget``."""

from __future__ import annotations

import json
import os
import random
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from wmbackup.history.retention import RetentionPolicy, reasons_to_keep

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland")
_BEGIN = datetime(2024, 1, 1, tzinfo=UTC)


class Restic:
    """A repository with one snapshot for each moment, of which none is ever removed."""

    def __init__(self, folder: Path, moments: list[datetime]) -> None:
        self._environment = os.environ | {
            "RESTIC_REPOSITORY": str(folder / "repository"),
            "RESTIC_PASSWORD": "test",
            "RESTIC_CACHE_DIR": str(folder / "cache"),
        }
        self._run("init")
        file = folder / "file"
        file.write_text("x")
        for moment in moments:
            self._run("backup", "--time", f"{moment:%Y-%m-%d %H:%M:%S}", str(file), zone="UTC")

    def _run(self, *arguments: str, zone: str = "UTC") -> str:
        return subprocess.run(
            ["restic", "--quiet", *arguments],
            env=self._environment | {"TZ": zone},
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def kept(self, options: list[str], zone: str) -> list[datetime]:
        """Return the moments that ``forget`` would keep, the newest first."""
        (group,) = json.loads(self._run("forget", "--dry-run", "--json", *options, zone=zone))
        times = [
            datetime.fromisoformat(one["time"][:19] + _offset(one["time"])) for one in group["keep"]
        ]
        return sorted((moment.astimezone(UTC) for moment in times), reverse=True)


def _offset(time: str) -> str:
    return "+00:00" if time.endswith("Z") else time[-6:]


def _moments() -> list[datetime]:
    """Return nights of more than two years with gaps, doubles, ends of years and summer times."""
    chance = random.Random(20)
    nights = chance.sample(range(800), 45)
    found = {_BEGIN + timedelta(days=night, seconds=chance.randrange(86_400)) for night in nights}
    for day in ("2024-12-30T23:30:00", "2024-12-31T23:59:59", "2025-01-01T00:00:00"):
        found.add(datetime.fromisoformat(day).replace(tzinfo=UTC))
    for day in ("2025-03-30T00:30:00", "2025-03-30T01:30:00", "2025-10-26T00:30:00"):
        found.add(datetime.fromisoformat(day).replace(tzinfo=UTC))
    return sorted(found, reverse=True)


@pytest.fixture(scope="module")
def moments() -> list[datetime]:
    return _moments()


@pytest.fixture(scope="module")
def restic(tmp_path_factory: pytest.TempPathFactory, moments: list[datetime]) -> Restic:
    return Restic(tmp_path_factory.mktemp("restic"), moments)


def _policies() -> list[RetentionPolicy]:
    chance = random.Random(21)
    singles = [
        RetentionPolicy(**{rule: 3}) for rule in ("last", "daily", "weekly", "monthly", "yearly")
    ]
    singles.append(RetentionPolicy(within=timedelta(days=30)))
    mixed = [
        RetentionPolicy(
            last=chance.choice((0, 1, 5)),
            daily=chance.choice((0, 3, 7, 100)),
            weekly=chance.choice((0, 4, 200)),
            monthly=chance.choice((0, 6, 24)),
            yearly=chance.choice((0, 1, 10)),
            within=timedelta(days=chance.choice((0, 0, 1, 45, 365))),
        )
        for _ in range(60)
    ]
    return [policy for policy in (*singles, *mixed) if policy]


def _options(policy: RetentionPolicy) -> list[str]:
    options = []
    for rule in ("last", "daily", "weekly", "monthly", "yearly"):
        count = getattr(policy, rule)
        options += [f"--keep-{rule}", str(count)] if count else []
    if policy.within:
        options += ["--keep-within", f"{policy.within.days}d"]
    return options


@pytest.mark.parametrize("zone", ZONES)
def test_the_kept_set_is_that_of_restic(restic: Restic, moments: list[datetime], zone: str) -> None:
    for policy in _policies():
        ours = reasons_to_keep(moments, policy, ZoneInfo(zone))
        kept = [moment for moment, reasons in zip(moments, ours, strict=True) if reasons]
        assert kept == restic.kept(_options(policy), zone), (policy, zone)


def test_no_rule_at_all_is_no_policy() -> None:
    assert not RetentionPolicy()
    assert RetentionPolicy(last=1)


def test_within_counts_from_the_newest_archive_and_not_from_now() -> None:
    old = [_BEGIN - timedelta(days=days) for days in (0, 1, 2)]
    kept = reasons_to_keep(old, RetentionPolicy(within=timedelta(days=2)))
    assert kept == [("within",), ("within",), ()]
