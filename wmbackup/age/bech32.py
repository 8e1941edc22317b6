"""Bech32, the encoding of age's recipients and identities (BIP 173, without its length limit)."""

from __future__ import annotations

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM = 6  # letters
_MAX = 1024  # letters; an X25519 key takes 62 to 74


def encode(prefix: str, data: bytes) -> str:
    """Return ``prefix1…`` in lower case."""
    values = _regroup(data, 8, 5, pad=True)
    checked = [*_expand(prefix), *values]
    polymod = _polymod([*checked, *[0] * _CHECKSUM]) ^ 1
    checksum = [polymod >> 5 * (_CHECKSUM - 1 - at) & 31 for at in range(_CHECKSUM)]
    return f"{prefix}1" + "".join(_ALPHABET[value] for value in (*values, *checksum))


def decode(text: str) -> tuple[str, bytes]:
    """Return the prefix, in the case of the text, and the data. Raises ValueError."""
    if len(text) > _MAX or not text.isascii() or text not in {text.lower(), text.upper()}:
        raise ValueError("not Bech32: it has mixed case or characters of another alphabet")
    prefix, separator, rest = text.rpartition("1")
    values = [_VALUES.get(letter, -1) for letter in rest.lower()]
    if not prefix or not separator or len(values) < _CHECKSUM or -1 in values:
        raise ValueError("not Bech32: it has no prefix, or a letter that does not occur there")
    if any(not "!" <= letter <= "~" for letter in prefix):
        raise ValueError("not Bech32: the prefix is not printable")
    if _polymod([*_expand(prefix.lower()), *values]) != 1:
        raise ValueError("not Bech32: the checksum does not match; check for typing errors")
    return prefix, bytes(_regroup(values[:-_CHECKSUM], 5, 8, pad=False))


def _expand(prefix: str) -> list[int]:
    codes = prefix.encode("ascii")
    return [*(code >> 5 for code in codes), 0, *(code & 31 for code in codes)]


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            if top >> bit & 1:
                check ^= generator
    return check


def _regroup(data: bytes | list[int], source: int, target: int, *, pad: bool) -> list[int]:
    """Return the same bits in groups of ``target`` bits. Raises ValueError for stray bits."""
    bits, held, groups = 0, 0, []
    for value in data:
        bits, held = bits << source | value, held + source
        while held >= target:
            held -= target
            groups.append(bits >> held)
            bits &= (1 << held) - 1
    if pad and held:
        groups.append(bits << target - held)
    elif held >= source or bits:
        raise ValueError("not Bech32: there are stray bits at the end")
    return groups
