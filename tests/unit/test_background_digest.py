"""SHA-256 in a thread: the same as without one, in bounded memory, and nothing is left running."""

from __future__ import annotations

import hashlib
import threading

import pytest

from wmbackup.archive.background_digest import BackgroundDigest

BLOCKS = [bytes([number]) * 5000 for number in range(40)]


def test_digest_is_that_of_all_blocks_in_their_order() -> None:
    before = threading.active_count()
    with BackgroundDigest() as digest:
        for block in BLOCKS:
            digest.update(block)
        assert digest.digest() == hashlib.sha256(b"".join(BLOCKS)).digest()
        assert digest.digest() == hashlib.sha256(b"".join(BLOCKS)).digest()
    assert threading.active_count() == before


def test_without_another_thread_the_caller_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with BackgroundDigest() as digest:
        for block in BLOCKS:
            digest.update(block)
        assert digest.digest() == hashlib.sha256(b"".join(BLOCKS)).digest()


def test_an_error_of_the_caller_ends_the_thread() -> None:
    before = threading.active_count()

    def fail() -> None:
        with BackgroundDigest() as digest:
            digest.update(BLOCKS[0])
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        fail()
    assert threading.active_count() == before


def test_an_error_of_the_thread_is_raised_where_the_digest_is_asked_for() -> None:
    """Blocks that come after it are taken, and nobody waits for ever."""
    with BackgroundDigest() as digest:
        for _ in range(20):
            digest.update("text")  # type: ignore[arg-type] # what it cannot hash
        with pytest.raises(TypeError):
            digest.digest()


def test_few_blocks_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow thread holds the caller up: memory does not grow with the file."""
    digest = BackgroundDigest()
    going = threading.Event()
    given: list[int] = []
    run = digest._run

    def slow() -> None:
        going.wait(60)
        run()

    def give() -> None:
        for number, block in enumerate(BLOCKS):
            digest.update(block)
            given.append(number)

    monkeypatch.setattr(digest, "_run", slow)
    with digest:
        giver = threading.Thread(target=give)
        giver.start()
        giver.join(0.2)
        assert len(given) <= 4
        going.set()
        giver.join(60)
        assert digest.digest() == hashlib.sha256(b"".join(BLOCKS)).digest()
    assert len(given) == len(BLOCKS)
