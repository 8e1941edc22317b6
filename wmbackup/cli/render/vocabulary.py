"""What the kinds, warnings and file names mean that this program prints, as `explain` says it.

Each is a sentence and the next step.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from wmbackup.cli.render.hint_texts import NOTHING
from wmbackup.cli.render.next_steps import step_of_warning

Meaning = tuple[str, str]

_OPAQUE = "carry it with the other files of its folder; it is of no use alone"
_WHOLE = "back up the whole folder: wmbackup backup --store drm:PATH -o OUTPUT"
_BY_INTERFACE = "restore all files of the backup together: wmbackup restore ARCHIVE --to windows"
_SHOP = "on another computer, ask the shop that sold the file for a new license"

KINDS: Mapping[str, Meaning] = {
    "wmdrm-v1": ("a license of Windows Media DRM version 1, bound to its computer", _SHOP),
    "wmdrm-v7": ("a license of Windows Media DRM version 7 or later, bound to its computer", _SHOP),
    "wmdrm-response": (
        (
            "a license as a license server sends it, encrypted for one computer; nothing in it can"
            " be read here"
        ),
        "keep it; Windows Media Player stores it on the computer that asked for it",
    ),
    "wmdrm-header": (
        "the header of a protected media file, which names the key ID of its license",
        "see which license it needs: wmbackup list --long",
    ),
    "wmdrm-v1-store": ("the license store of Windows Media DRM version 1", _WHOLE),
    "wmdrm-v1-key": ("what belongs to the license store of Windows Media DRM version 1", _WHOLE),
    "wmdrm-v7-store": ("the license store of Windows Media DRM version 7 and later", _WHOLE),
    "wmdrm-v7-state": (
        "the secure state of the license store of Windows Media DRM version 7 and later",
        _WHOLE,
    ),
    "wmdrm-data-store": ("the data store of Windows Media DRM on Windows Vista and later", _WHOLE),
    "wmdrm-v1-backup": (
        "licenses of version 1, written by the license backup of Windows Media",
        _BY_INTERFACE,
    ),
    "wmdrm-v1-key-backup": (
        "what belongs to licenses of version 1, written by the license backup of Windows Media",
        _BY_INTERFACE,
    ),
    "wmdrm-v7-backup": (
        "licenses of version 7 and later, written by the license backup of Windows Media",
        _BY_INTERFACE,
    ),
    "wmdrm-v7-key-backup": (
        (
            "what belongs to licenses of version 7 and later, written by the license backup of"
            " Windows Media"
        ),
        _BY_INTERFACE,
    ),
    "wmdrm-other": (
        "a file of a license folder, or a license, about which nothing is documented",
        _OPAQUE,
    ),
    "playready-header": (
        "the header of a PlayReady file, which names the key IDs of its licenses",
        "see which licenses it needs: wmbackup list --long",
    ),
    "playready-license": (
        "a PlayReady license, whose format is not public; it is carried as it is",
        _SHOP,
    ),
    "playready-store": (
        "a license store of PlayReady, for which there is no documented backup",
        _SHOP,
    ),
    "windows": (
        "the store of this computer's licenses, through the Windows Media interface",
        "see what it can do here: wmbackup check --store windows",
    ),
    "folder": (
        "a store that is any folder of license files",
        "back it up: wmbackup backup --store folder:PATH -o OUTPUT",
    ),
    "drm": (
        (
            "a store that is a DRM folder of Windows, live or on a disk; it is carried as a whole"
            " and serves its own computer only"
        ),
        "back it up: wmbackup backup --store drm:PATH -o OUTPUT",
    ),
    "bak": (
        "a store that is a folder which Windows Media Player or its interface wrote as a backup",
        "back it up: wmbackup backup --store bak:PATH -o OUTPUT",
    ),
    "sample": (
        "a small built-in store of made-up licenses, to try the program",
        "try it: wmbackup backup --store sample -o sample.tar",
    ),
}
"""Kinds of licenses and of stores, by the word that `list` and `backup` print."""

_WARNINGS: Mapping[str, str] = {
    "cosigner-untrusted": (
        "somebody who is not trusted here has countersigned the archive, which counts for nothing"
    ),
    "cosigner-revoked": (
        "a key that is revoked has countersigned the archive, which counts for nothing"
    ),
    "encryption-missing": "an archive names recipients, and it comes in the clear",
    "recipient-unnamed": "an archive does not name what opens it here among its recipients",
    "new-chain": (
        "the archive begins a new chain: the ledger of this machine is lost, older, damaged or of"
        " another machine, or the newest archive is no longer at the destination"
    ),
    "newer-known": "the archive is whole, and a newer one of its series is known here",
    "line-gap": "archives of a series are not there, as after a prune; what is there is in line",
    "no-archives": "a folder of archives has other files in it, which are let be",
    "shrunk": (
        "the newest archive has fewer than half of the licenses or files of one that would be"
        " removed, so nothing is removed"
    ),
    "not-pruned": "the backup skipped files, so no older archive is removed",
    "not-good": "archives in a folder are damaged, or signed by somebody who is not trusted",
    "ledger-unusable": "the ledger, in which this machine remembers its archives, cannot be used",
    "incomplete-set": "a file is missing that belongs to one that is there",
    "undo-unsure": (
        "should this restore be cut off, the next run cannot tell whether it may undo it"
    ),
    "status-unknown": (
        "the Windows Media interface sent a status that is not documented; it changes nothing"
    ),
    "interface-crashed": (
        "Microsoft's component crashed when it was released, after its work was done"
    ),
    "restricted-failed": (
        "a license is restricted and came with a failure of its own; the others are backed up"
    ),
    "restore-limits": (
        "Microsoft's license service allows a restore on four computers at most, and may be gone"
    ),
    "individualization": (
        "with your consent Microsoft's component is upgraded over the Internet and becomes"
        " unlike any other"
    ),
    "upgrade-wanted": (
        "the licenses were restored and work only after a security upgrade of the DRM component"
    ),
    "left-behind": "a folder that a restore made for itself could not be removed",
    "not-undone": "a restore may have changed files and could not put all of them back",
    "rolled-back": (
        "an earlier restore into this folder was cut off, and what it had changed was put back"
    ),
    "foreign-restore": (
        "the folder has the journal of a restore that was not made here, and was not undone"
    ),
    "files-left-out": "files of other software are in the folder and are not carried",
    "not-enumerated": (
        "the licenses could not be listed, so the archive does not name them; it has them"
    ),
    "license-unreadable": "a license is in the store and the interface does not show what is in it",
    "rights-unreadable": "the interface does not say what a license allows",
    "search-depth": (
        "folders are nested so deep that no DRM folder is looked for in the last of them"
    ),
    "reading-again": "a file disappeared while the store was read, so the backup began again",
    "root-missing": (
        "a selected license depends on another one, its root, that the selection does not bring"
    ),
    "other-machine": (
        "a raw copy of a DRM folder serves the computer that it was made on, and no other"
    ),
    "windows-bitness": (
        "the Windows Media interface is documented for 32-bit programs, and this one has 64 bits"
    ),
    "windows-components": "the Windows Media components are missing",
    "windows-interface": "the Windows Media interface is there and does not work",
    "windows-enumeration": (
        "this Windows cannot list licenses, so an archive does not name them; it has them"
    ),
    "windows-policy": (
        "a group policy keeps Windows Media DRM from the Internet, which a restore needs"
    ),
    "windows-rights": "this user cannot read the license folder, or there is none",
    "deprecated": (
        "Microsoft has replaced the Windows Media DRM interface by PlayReady and may remove it"
    ),
}

_HIDE = "take the rights of others away: chmod go-rwx FILE"

_OF_COMMAND_LINE: Mapping[str, Meaning] = {
    "identity-exposed": ("other users of this computer can read the age identity", _HIDE),
    "left-out": (
        "a file is not carried: it is of other software, or --exclude matches it",
        f"{NOTHING}; to carry what is of other software as well, add --all-files",
    ),
    "new-key-has-no-passphrase": (
        "key rotate made a key without a passphrase in place of one that had one",
        "give it one: ssh-keygen -p -f FILE",
    ),
    "not-encrypted": (
        "the name of the output ends in .age, and nothing encrypts it",
        "add --recipient age1..., or name it .wmbackup.tar",
    ),
    "own-key-revoked": (
        "the key that was revoked is the one with which this user signs",
        "make another one: wmbackup key rotate",
    ),
    "passphrase-exposed": ("other users of this computer can read the passphrase", _HIDE),
    "restricted": (
        "the issuer of a license does not let it be backed up; it stays where it is",
        f"{_SHOP}; if it is to be no failure, add --accept-restricted",
    ),
    "signing-key-created": (
        "there was no signing key, so one was made and is trusted here",
        "keep a copy of its public half, by which other machines trust it: wmbackup key show",
    ),
    "signing-key-exposed": ("other users of this computer can read the signing key", _HIDE),
    "signing-key-incomplete": (
        "the run that made the signing key was cut off, and the key may not be trusted here",
        "complete it: wmbackup key create",
    ),
    "skipped": (
        "a file cannot be carried, such as a link, a pipe, or one that this user cannot read",
        "if it is to be no failure, add --accept-skipped, or leave it out with --exclude PATTERN",
    ),
    "still-trusted": (
        "the key that is trusted no more by this line is trusted by another line or file",
        "see all lines: wmbackup key list",
    ),
    "trust-file-exposed": (
        "other users of this computer can write a trust file, and say by it whom to trust",
        "take that right away: chmod go-w FILE",
    ),
    "unknown-value": (
        "an option has a value that nothing here is known to have; it is looked for all the same",
        "see the values that are known: wmbackup list --help",
    ),
    "unknown-variable": (
        "the environment has a variable that begins with WMBACKUP_ and that no option reads",
        "see what is in force: wmbackup check",
    ),
    "void-pattern": (
        "a pattern after --exclude can match nothing",
        "see gitignore(5), or leave it out",
    ),
    "waiting": (
        "an archive is expected on standard input, which is a keyboard",
        "end it with Ctrl-C, and feed a file in: wmbackup verify - < FILE",
    ),
}
"""What the command line itself warns of. Where it does, the step has the paths in it."""

WARNINGS: Mapping[str, Meaning] = {
    code: (sentence, step_of_warning(code)) for code, sentence in _WARNINGS.items()
} | dict(_OF_COMMAND_LINE)
"""Warnings and notices, by their code in ``--json``."""

FROM_BELOW = frozenset(_WARNINGS)
"""The codes of those whose step is made from their facts."""

_ARCHIVE = "see wmbackup-archive(5); check all files at once: wmbackup verify ARCHIVE"
_LEFTOVER = "the next run of wmbackup there removes it or puts back what it holds; leave it alone"
_COMPONENT = "see which version is here: wmbackup check"

FILES: Sequence[tuple[str, Meaning]] = (
    (r"bagit\.txt", ("the first file of an archive: its format", _ARCHIVE)),
    (r"readme\.txt", ("how to check and open the archive without wmbackup", _ARCHIVE)),
    (r"bag-info\.txt", ("when, where and from which store the archive was made", _ARCHIVE)),
    (r"files\.jsonl", ("the names, sizes and times of the files of an archive", _ARCHIVE)),
    (r"licenses\.jsonl", ("the licenses that were recognized in an archive", _ARCHIVE)),
    (r"manifest-sha256\.txt", ("the checksums of the files of an archive", _ARCHIVE)),
    (r"tagmanifest-sha256\.txt", ("the checksums of an archive's tables; it is signed", _ARCHIVE)),
    (
        r"tagmanifest-sha256\.txt\.(?:[0-9]+\.)?sig",
        ("a signature of the archive, as ssh-keygen checks it", _ARCHIVE),
    ),
    (r"tagmanifest-sha256\.txt\.tsr", ("a time stamp of the archive (RFC 3161)", _ARCHIVE)),
    (
        r"item-[0-9]{7}",
        ("one file of an archive under its number; files.jsonl has its true name", _ARCHIVE),
    ),
    (
        r".+\.wmbackup\.tar(?:\.age)?",
        ("an archive of wmbackup", "see what is in it: wmbackup list ARCHIVE"),
    ),
    (
        r"\.wmbackup-restore-.*|journal",
        ("what a restore that is running or was cut off keeps for itself", _LEFTOVER),
    ),
    (r"\.wmbackup-.*\.part|\.wmbackup-.*", ("a file that a run had not finished", _LEFTOVER)),
    (
        r"allowed_signers",
        ("the trust file: who may sign archives", "see who is trusted: wmbackup key list"),
    ),
    (
        r"signing_key",
        ("the key that signs your archives; keep it to yourself", "see it: wmbackup key show"),
    ),
    (
        r"signing_key\.pub",
        ("the public half of the signing key", "trust it on another machine: wmbackup key trust"),
    ),
    (
        r"ledger\.json",
        (
            "the ledger: what this machine remembers of the archives that it made and verified",
            "leave it where it is; without it the next archive begins a new chain",
        ),
    ),
    (r"wmbackup\.toml", ("the configuration", "see what is in force: wmbackup check")),
    (r"wmvcore\.dll", ("the component that backs up and restores licenses", _COMPONENT)),
    (r"wmdrmsdk\.dll", ("the component that lists the licenses of this computer", _COMPONENT)),
    (
        r"drmv2clt\.dll|drmclien\.dll|blackbox\.dll|msnetobj\.dll",
        ("a component of Windows Media DRM", _COMPONENT),
    ),
)
"""Files that are no license files, by a pattern of their own name in lower case."""


def file_meaning(path: str) -> Meaning | None:
    """Return what a file is, by its name or a path that ends with it; None if it is not known."""
    from wmbackup.formats import kind_of_file

    name = re.split(r"[/\\]", path)[-1].lower()
    kind = kind_of_file(name.encode("utf-8", "surrogateescape"))
    if kind is not None:
        return KINDS[kind]
    return next((meaning for pattern, meaning in FILES if re.fullmatch(pattern, name)), None)
