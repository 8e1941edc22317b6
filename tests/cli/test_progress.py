from __future__ import annotations

import pytest

from wmbackup.cli.progress import Counter
from wmbackup.status import ItemEvent, Phase, PhaseEvent


def test_the_remaining_time_is_told_once_there_is_something_to_tell_it_by(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1000.0]
    monkeypatch.setattr("wmbackup.cli.progress.time.monotonic", lambda: now[0])
    counter = Counter()
    counter.see(PhaseEvent(Phase.READING, items=1000))
    now[0] += 4.0
    counter.see(ItemEvent(b"a", 1, 100_000_000))  # one large file says nothing of the others
    assert counter.remaining() == ""
    counter.see(ItemEvent(b"b", 10, 10))
    assert counter.remaining() == "6:36 left"
    counter.see(ItemEvent(b"c", 1000, 10))
    assert counter.remaining() == ""
