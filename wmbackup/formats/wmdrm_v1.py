"""Version 1 licenses of Windows Media DRM: base64 of certificates and a LICENSEDATA.

Source: [MS-DRM] 2.2.2.3. What stands around the LICENSEDATA is opaque here: it is found behind
the version and the length that begin a LICENSE (2.2.2.3.4), or by its key ID where that has the
recommended form, the base64 of a GUID and a NUL in a field of 25 bytes.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct

from wmbackup.formats.text import Draft
from wmbackup.license import License

KIND = "wmdrm-v1"

MAX_SIZE = 64 * 1024
"""The longest text that is decoded, in bytes."""

# [MS-DRM] 2.2.2.3.5, LICENSEDATA: KID char[25]; the encrypted key, 80 bytes that are never
# looked at; rights byte[4]; appSec, a DWORD; expiryDate byte[4].
_LICENSEDATA = struct.Struct("<25s80x4sI4s")
# LICENSE: version 0.1.0.0 or 0.1.0.1, the length of the LICENSEDATA, a signature of 40 bytes.
_LICENSE = re.compile(rb"\0\x01\0[\0\x01]\x75\0\0\0.{40}(?=[\x21-\x7e]{1,24}\0)", re.DOTALL)
_KID = re.compile(rb"(?=[A-Za-z0-9+/]{21}[AQgw]==\0)")
_NO_RESTORE = 0x04

_START = re.compile(rb"\s{0,16}[A-Za-z0-9+/\r\n]{64}")


def read(data: bytes) -> License | None:
    """Read a base64 text as a version 1 license; None where it is not one.

    The rights are AllowBackupRestore, false where bit 0x04 says that the client may not restore,
    and the four bytes as they stand (``Rights``, in hexadecimal) with the security level
    (``AppSec``). The encoding of the expiry date is not documented: it is given as its four
    bytes, in hexadecimal.
    """
    if not _START.match(data) or len(data) > MAX_SIZE:
        return None
    try:
        decoded = base64.b64decode(b"".join(data.split()), validate=True)
    except binascii.Error:
        return None
    found = _LICENSE.search(decoded) or _KID.search(decoded)
    if found is None or len(decoded) - found.end() < _LICENSEDATA.size:
        return None
    kid, rights, security, expires = _LICENSEDATA.unpack_from(decoded, found.end())
    draft = Draft()
    draft.kid = kid.partition(b"\0")[0].decode("ascii")
    draft.expires = expires.hex()
    draft.right("AllowBackupRestore", not rights[0] & _NO_RESTORE)
    draft.right("Rights", rights.hex())
    draft.right("AppSec", security)
    return draft.license(KIND)
