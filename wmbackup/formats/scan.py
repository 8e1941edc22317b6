"""Find the XML licenses in bytes of any size, in any of the three encodings they come in.

The element is looked for, not the document: so licenses are found one after another, inside a
response, between bytes of another format, and in front of a damaged end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from wmbackup.formats import wmdrm_v2
from wmbackup.formats.xml import MAX_XML
from wmbackup.license import License

WINDOW = 1024 * 1024
"""Bytes that are looked at together; a license is found whole if it has half of them or less."""

MAX_LICENSES = 16_384
"""Licenses that are taken from one file; the rest of it is opaque."""

_MAX_TAGS = 4 * MAX_LICENSES  # start tags that are looked at, those of others included
_OVERLAP = 2 * MAX_XML  # a character of UTF-16 has two bytes
_HEAD = 4096


class _Encoding(NamedTuple):
    name: str
    response: bytes
    start: bytes
    end: bytes
    stops: tuple[bytes, ...]  # what follows the name in a start tag

    def is_response(self, window: bytes) -> bool:
        """Say whether the first tag that could be a license is a response instead."""
        place = window.find(self.start, 0, _HEAD)
        return place >= 0 and window.startswith(self.response, place)


def _encoding(name: str) -> _Encoding:
    return _Encoding(
        name,
        "<LICENSERESPONSE".encode(name),
        "<LICENSE".encode(name),
        "</LICENSE>".encode(name),
        tuple(stop.encode(name) for stop in " >\t\r\n"),
    )


_UTF_8, _UTF_16_LE, _UTF_16_BE = map(_encoding, ("utf-8", "utf-16-le", "utf-16-be"))
_TEXT = re.compile(rb"(?:\xef\xbb\xbf)?\s{0,4096}<[^\0]")
_BIG_ENDIAN = re.compile(rb"\xfe\xff|(?:\0\s){0,2048}\0<")


def _encodings(window: bytes) -> tuple[_Encoding, ...]:
    """Return the encodings to look for, as the beginning of a file shows them.

    The same ASCII text can be found in both byte orders, one byte apart, so that only a
    beginning that shows it is taken for big-endian.
    """
    if _TEXT.match(window):
        return (_UTF_8,)
    return (_UTF_8, _UTF_16_BE if _BIG_ENDIAN.match(window) else _UTF_16_LE)


def licenses(data: bytes) -> tuple[License, ...]:
    """Return the XML licenses in bytes that are at hand."""
    scanner = _Scanner()
    scanner.look(data, len(data))
    return scanner.result()


def licenses_in(chunks: Iterable[bytes]) -> tuple[License, ...]:
    """Return the XML licenses in a stream of chunks, in bounded memory."""
    scanner = _Scanner()
    window = b""
    for chunk in chunks:
        window += chunk
        if len(window) >= WINDOW:
            seen = len(window) - _OVERLAP
            scanner.look(window, seen)
            window = window[seen:]
    scanner.look(window, len(window))
    return scanner.result()


class _Scanner:
    """What was found so far, and for each encoding how far the next window is already read."""

    def __init__(self) -> None:
        self._found: list[License] = []
        self._encodings: tuple[_Encoding, ...] = ()  # none until the beginning was seen
        self._read = [0, 0]
        self._response = False
        self._tags = 0

    def look(self, window: bytes, limit: int) -> None:
        """Take the licenses that begin before ``limit``, where the next window will begin."""
        if not self._encodings:
            self._encodings = _encodings(window)
            self._response = any(e.is_response(window) for e in self._encodings)
        for index, encoding in enumerate(self._encodings):
            place = self._scan(window, encoding, self._read[index], limit)
            self._read[index] = max(place - limit, 0)

    def result(self) -> tuple[License, ...]:
        """Return what was found: a response in which nothing can be made out is opaque itself."""
        if self._response and not self._found:
            return (License(kind=wmdrm_v2.RESPONSE),)
        return tuple(self._found)

    def _scan(self, window: bytes, encoding: _Encoding, place: int, limit: int) -> int:
        """Return the place behind the last license that was taken."""
        end = -1
        last = limit + len(encoding.start) - 1  # the tag begins before the limit
        while len(self._found) < MAX_LICENSES and self._tags < _MAX_TAGS:
            start = self._start(window, encoding, place, last)
            if start == last:
                break
            place = start + len(encoding.start)
            self._tags += 1
            if end < place:  # each end tag is looked for once, however many tags are not closed
                end = window.find(encoding.end, place)
                end = len(window) + _OVERLAP if end < 0 else end + len(encoding.end)
            place = self._take(window, encoding, start, end) or place
        return place

    def _take(self, window: bytes, encoding: _Encoding, start: int, end: int) -> int | None:
        """Take the license from start to end; return its end, or None where it is not closed.

        Where another license begins before the end tag, the tag is that one's.
        """
        following = self._start(window, encoding, start + 1, end)
        if following == end and end - start <= _OVERLAP:
            text = window[start:end].decode(encoding.name, "replace")
            license_ = wmdrm_v2.read(text, in_response=self._response)
            if license_ is not None:
                self._found.append(license_)
            return end
        head = window[start : min(start + _HEAD, following)].decode(encoding.name, "replace")
        if self._response or wmdrm_v2.is_ours(head):
            self._found.append(License(kind=wmdrm_v2.KIND))
        return None

    @staticmethod
    def _start(window: bytes, encoding: _Encoding, place: int, end: int) -> int:
        """Return the place of the next start tag, ``end`` where there is none before it."""
        while True:
            place = window.find(encoding.start, place, end)
            if place < 0:
                return end
            if window.startswith(encoding.stops, place + len(encoding.start)):
                return place
            place += len(encoding.start)
