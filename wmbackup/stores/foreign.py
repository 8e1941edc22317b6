"""Tell which files in a folder of licenses are known to belong to other software.

Names and formats of license files are mostly undocumented, people rename copies of them, and a
license that is left behind is lost. So a file counts as a license file unless it is known that it
is not one.
"""

from __future__ import annotations

import re

from wmbackup.formats.detect import kind_of_file

_OF_DESKTOP = {b"desktop.ini", b"thumbs.db", b"ehthumbs.db", b".ds_store", b"folder.jpg"}
_OF_RIGHTS_MANAGEMENT = {b"server", b"templates"}
_CERTIFICATE = re.compile(rb"(?:cert|clc|eul|gic|plc|ssl|drm)-.*\.drm\Z")
_COPY_OF_LICENSES = re.compile(rb"drmv[12]|drmstore")
_MEDIA = (
    *(b".wma", b".wmv", b".asf", b".wm", b".dvr-ms", b".wtv", b".pya", b".pyv", b".mp3", b".mp4"),
    *(b".m4a", b".m4v", b".mpg", b".mpeg", b".avi", b".wav", b".flac", b".ogg", b".aac", b".mov"),
    *(b".wpl", b".m3u", b".asx", b".wax", b".wvx", b".jpg", b".jpeg", b".png", b".gif", b".bmp"),
)
_PROGRAMS = (b".exe", b".dll", b".msi", b".sys", b".ocx", b".lnk", b".url", b".bat", b".cmd")


def foreign_to_drm(path: bytes) -> str | None:
    """Return whose a file in a DRM folder is, by its path; None for what may be part of the store.

    AD RMS and Office keep their certificates and templates in the same folder.
    """
    *folders, name = path.lower().split(b"/")
    if _may_be_license(name):
        return None
    if name in _OF_DESKTOP:
        return "it belongs to the desktop of Windows or macOS"
    if not _OF_RIGHTS_MANAGEMENT.isdisjoint(folders[:1]) or _CERTIFICATE.match(name):
        return "it belongs to rights management of Windows Server or Office"
    return None


def foreign_to_backup(path: bytes) -> str | None:
    """Return what a file beside a license backup is; None for what may be part of one."""
    name = path.lower().rpartition(b"/")[2]
    if _may_be_license(name):
        return None
    if name in _OF_DESKTOP:
        return "it belongs to the desktop of Windows or macOS"
    if name.endswith(_MEDIA):
        return "it is a media file, a playlist or a picture"
    if name.endswith(_PROGRAMS):
        return "it is a program or a link to one"
    return None


def _may_be_license(name: bytes) -> bool:
    return kind_of_file(name) is not None or _COPY_OF_LICENSES.search(name) is not None
