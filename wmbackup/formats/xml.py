"""The elements of a small XML document, read with expat and nothing but expat.

The standard library's expat binding with a handler that refuses every document type declaration
is all the defense that is needed: without a declaration there are no entities to expand and
nothing to fetch, and expat itself does neither. It was chosen over defusedxml, which wraps the
pure-Python tree parser and would take a multiple of the 60 µs that a license may cost.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, partial
from xml.parsers import expat

MAX_XML = 256 * 1024
"""The longest document that is parsed, in characters."""

_MAX_DEPTH = 32
_MAX_MENDED = 1024  # ampersands
_MAX_ELEMENTS = 1024  # a license has some dozens

# What shops are known to forget: to escape the & of an address, and that controls are no XML.
_STRAY = re.compile("&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


class NotWellFormed(ValueError):
    """The text is not XML, or is more of it than is read."""


Element = tuple[tuple[str, ...], dict[str, str], str]
"""An element at its end tag: the names down to it, its attributes, its text if it is a leaf.

Prefixes of names are removed. It is a plain tuple, for there are twenty to a license.
"""


def elements(text: str, opaque: frozenset[str] = frozenset()) -> list[Element]:
    """Return the elements of a document in the order of their end tags.

    Elements named in ``opaque`` are left out together with everything inside. A document that is
    not well-formed for stray ampersands or controls alone is mended and read. Raises
    NotWellFormed, also for any document type declaration and beyond 256 Ki characters, 32 levels
    or 1024 elements.
    """
    if len(text) > MAX_XML:
        raise NotWellFormed("the document is too long")
    try:
        return _parse(_emptied(text, opaque), opaque)
    except expat.ExpatError:
        mended = _CONTROL.sub("\ufffd", _STRAY.sub("&amp;", text, _MAX_MENDED))
    try:
        return _parse(mended, opaque)
    except expat.ExpatError as error:
        raise NotWellFormed(str(error)) from None


def _emptied(text: str, opaque: frozenset[str]) -> str:
    """Return the document with its opaque elements empty: they are most of a license.

    An element is emptied where it has none of its own name inside, and neither comments, CDATA
    nor instructions, so that its end tag is certain. Where a comment or CDATA around it misleads,
    what is left is not well-formed, and the document is then read as it stands.
    """
    return _emptier(opaque)(text) if opaque else text


@cache
def _emptier(names: frozenset[str]) -> Callable[[str], str]:
    start = rf"<({'|'.join(sorted(names))})(?:\s+[\w:.-]+\s*=\s*(?:\"[^\"<>]*\"|'[^'<>]*'))*+\s*>"
    # To stop at a tag of the same name, whichever, keeps the time linear where end tags lack.
    filled = re.compile(rf"{start}[^<]*+(?:<(?!/?\1[\s/>]|[!?])[^<]*+)*+</\1\s*>")
    return partial(filled.sub, f"<{min(names)}/>")


def _parse(text: str, opaque: frozenset[str]) -> list[Element]:
    found: list[Element] = []
    path: tuple[str, ...] = ()
    given: list[dict[str, str]] = []
    hidden = 0  # how many opaque elements the parser is in, one inside the other
    leaf: str | None = None  # the text since a start tag; none since an end tag

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal hidden, leaf, path
        if hidden:
            hidden += 1
            return
        if ":" in name:
            name = name.rpartition(":")[2]
        if name in opaque:
            hidden, leaf = 1, None
            return
        path += (name,)
        given.append(attributes)
        leaf = ""
        if len(path) > _MAX_DEPTH or len(found) + len(given) > _MAX_ELEMENTS:
            raise NotWellFormed("the document is nested too deeply or has too many elements")

    def end(_name: str) -> None:
        nonlocal hidden, leaf, path
        if hidden:
            hidden -= 1
            return
        found.append((path, given.pop(), leaf or ""))
        path = path[:-1]
        leaf = None

    def characters(data: str) -> None:
        nonlocal leaf
        if leaf is not None:
            leaf += data

    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = _refuse
    parser.Parse(text.encode(), True)
    return found


def _refuse(*_declaration: object) -> None:
    raise NotWellFormed("the document has a document type declaration")
