"""Which archives to keep: the rules of ``restic forget`` (0.14), united.

Pure functions over times. The caller decides what counts: archives that cannot be checked, or
that come from the future, are not passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time: whole days of the calendar, and seconds besides.

    A day has 23 or 25 hours where summer time begins or ends.
    """

    days: int = 0
    seconds: int = 0

    def __bool__(self) -> bool:
        """Whether it is longer than nothing."""
        return bool(self.days or self.seconds)

    @property
    def length(self) -> timedelta:
        """Its length where all days have 24 hours."""
        return timedelta(days=self.days, seconds=self.seconds)

    def before(self, moment: datetime, zone: tzinfo | None = None) -> datetime:
        """Return the time that lies this long before another, by the calendar of ``zone``.

        Without a zone it is the one of this machine. Before the first year there is no time: then
        the earliest is returned.
        """
        try:
            wall = moment.astimezone(zone).replace(tzinfo=None) - timedelta(days=self.days)
            local = wall.astimezone() if zone is None else wall.replace(tzinfo=zone)
            return local.astimezone(UTC) - timedelta(seconds=self.seconds)
        except (OverflowError, OSError, ValueError):
            return datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How many archives to keep of each kind; 0 is none. An archive is kept if any rule keeps it.

    ``within`` keeps what is younger than that, counted from the newest archive.
    """

    last: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    within: Span = Span()

    def __bool__(self) -> bool:
        """Whether there is any rule: without one, nothing may be removed."""
        counts = (self.last, self.daily, self.weekly, self.monthly, self.yearly)
        return any(counts) or bool(self.within)


@dataclass(slots=True)
class _Bucket:
    """A rule of so many periods: the newest archive of each is kept."""

    reason: str
    left: int
    period: Callable[[datetime, int], Hashable]
    latest: Hashable = None

    def keeps(self, moment: datetime, index: int) -> bool:
        period = self.period(moment, index)
        if not self.left or period == self.latest:
            return False
        self.latest = period
        self.left -= 1
        return True


def reasons_to_keep(
    moments: Sequence[datetime], policy: RetentionPolicy, zone: tzinfo | None = None
) -> list[tuple[str, ...]]:
    """Return for each archive why it is kept; an empty tuple says that it is not.

    ``moments`` are aware times, the newest first. Days, ISO weeks, months and years are those of
    ``zone``, by default the one of this machine.
    """
    buckets = [
        _Bucket("last", policy.last, lambda _moment, index: index),
        _Bucket("daily", policy.daily, lambda moment, _index: moment.date()),
        _Bucket("weekly", policy.weekly, lambda moment, _index: moment.isocalendar()[:2]),
        _Bucket("monthly", policy.monthly, lambda moment, _index: (moment.year, moment.month)),
        _Bucket("yearly", policy.yearly, lambda moment, _index: moment.year),
    ]
    limit = policy.within.before(moments[0], zone) if policy.within and moments else None
    kept = []
    for index, moment in enumerate(moments):
        within = limit is not None and moment > limit
        local = moment.astimezone(zone)
        rules = [bucket.reason for bucket in buckets if bucket.keeps(local, index)]
        kept.append((*(("within",) if within else ()), *rules))
    return kept
