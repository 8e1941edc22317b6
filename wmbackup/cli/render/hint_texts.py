"""The texts of the next steps, by what they follow. `hints` chooses among them.

A key is the code of an error or a warning, with a slash and the reason where the reason makes a
difference; ``*`` is for every error. In braces stand the facts, quoted for the shell, and after a
colon what stands in where a fact is not known. A command comes last, after a colon.
"""

from __future__ import annotations

from collections.abc import Mapping

NOTHING = "there is nothing to do"
PRIVACY_POLICY = "https://privacy.microsoft.com/privacystatement"

_DEBUG = "run it again with --debug and report what it prints"
_NEWER = "use a newer wmbackup"
_PERMISSIONS = "check the permissions, or run as a user who may"
_MEDIA_FOUNDATION = "install Media Foundation: Install-WindowsFeature Server-Media-Foundation"
_FEATURE_PACK = "install the Media Feature Pack, an optional feature of Windows, and restart"
_PLAYER = (
    "install Windows Media Player or the Media Feature Pack; as long as it is missing, back up the"
    " license folder with drm:PATH"
)
_MISSING = "see which licenses are missing, and ask their shops for new ones: wmbackup list"
_CRASHED = (
    "restart Windows and try again; if it stays, report it with what this prints: wmbackup check"
)
_SALVAGE = (
    "see what can be restored of it:"
    " wmbackup restore {path:ARCHIVE} --salvage --dry-run --to folder:salvaged"
)

_REPACKED = (
    "wmbackup-archive(5), EXAMPLES, packs it as it was; to unpack it and check it by the README.txt"
    " inside: mkdir unpacked && tar -xf {path:ARCHIVE} -C unpacked"
)

ERRORS: Mapping[str, str] = {
    "*/no-space": "free some space there, or choose another place",
    "*/no-permission": _PERMISSIONS,
    "*/read-only": "choose a place that can be written",
    "usage/no-folder": "name a folder to restore into",
    "usage/no-archive-name": "name a file, or - for a pipe",
    "usage/archive-is-folder": "name the archive in it",
    "usage/output-is-folder": "name another file as the output",
    "usage/output-is-device": "write to a file, or to standard output with -o -",
    "usage/selection-for-interface": (
        "leave the selection out, or restore it into a folder: --to folder:PATH"
    ),
    "usage/not-of-interface": "restore it into a folder: --to folder:PATH",
    "usage/damaged-for-interface": "restore an older archive that passes wmbackup verify",
    "usage/archive-in-target": "move the archive to another folder first",
    "usage/interface-not-compared": (
        "compare what the two commands show: wmbackup list {path:ARCHIVE}, and"
        " wmbackup list --store windows"
    ),
    "hook-failed": "run the command by itself to see why",
    "setup-unusable/no-file": "check the path of the trust file",
    "setup-unusable/of-another-user": "move the file to a folder of your own",
    "setup-unusable/too-large": "name another file",
    "setup-unusable/written-by-all": "chmod go-w {path:FILE}",
    "trust-file-invalid": "one OpenSSH key a line; see ssh-keygen(1), ALLOWED SIGNERS",
    "principal-unfit": "write a line for the key yourself; see ssh-keygen(1), ALLOWED SIGNERS",
    "key-revoked": "a revoked key is not trusted again; trust a new key of that machine",
    "key-exists": "keep it: the archives that it signed are trusted because of it",
    "signing-key-missing": "name one with --signing-key, or make one: wmbackup key create",
    "signing-key-unusable": "name another with --signing-key",
    "signing-key-unusable/agent-refused": "see what the agent holds: ssh-add -l",
    "signing-key-unusable/agent-invalid": "use another agent, or the private key itself",
    "signing-key-unusable/no-agent": (
        "name the private key with --signing-key, or start ssh-agent and add it: ssh-add {path:KEY}"
    ),
    "signing-key-unusable/not-in-agent": ("add the private half to the agent: ssh-add {path:KEY}"),
    "signing-key-unusable/no-package": (
        "install it, python -m pip install 'wmbackup[encrypted-keys]', or add the key to ssh-agent:"
        " ssh-add {path:KEY}"
    ),
    "signing-key-unusable/wrong-passphrase": (
        "check the passphrase; it is not the one of the archive"
    ),
    "signing-key-unusable/cipher": (
        "encrypt it with another: ssh-keygen -p -Z aes256-ctr -f {path:KEY}"
    ),
    "signing-key-unusable/exposed": "{hide:chmod 600 KEY}",
    "signing-key-locked": (
        "add --key-passphrase-file, --key-passphrase-fd or --key-passphrase-command, or add the key"
        " to ssh-agent: ssh-add {path:KEY}"
    ),
    "output-inside-store": "choose an output outside of it",
    "store-read-only": "restore into a folder: --to folder:PATH",
    "output-exists": "choose another output, or add --force",
    "restore-conflict": ("add --on-conflict skip or --on-conflict replace, or restore elsewhere"),
    "restore-conflict/no-file": "move it away, or add --on-conflict skip",
    "restore-conflict/same-name": (
        "restore into a folder on a file system that tells such names apart"
    ),
    "restore-conflict/appeared": "nothing was changed; look at it and try again",
    "half-restored": "run the restore again: it puts back first what it had changed",
    "timed-out": "nothing was changed; give it more time with --timeout",
    "timed-out/hangs": "it hangs: see what holds the store up",
    "timed-out/interface": "give it more time with --timeout, or try on another day",
    "timed-out/silent": "restart Windows and try again; see what it can do: wmbackup check",
    "timed-out/no-answer": _CRASHED,
    "system/temporary": "free some space there, or set TMPDIR to another folder",
    "system/locks-open": "chmod o-w {path:FOLDER}",
    "unconfirmed": "check the disk before you rely on it",
    "archive-damaged": f"use another copy of the archive, or {_SALVAGE}",
    "archive-damaged/repacked": _REPACKED,
    "archive-damaged/head": "nothing in this copy can be verified; look for another one",
    "archive-damaged/selection-lost": (
        "leave the selection out to see which, or use another copy of the archive"
    ),
    "archive-truncated": f"fetch it again from where it was copied, or {_SALVAGE}",
    "archive-truncated/head": (
        "fetch it again from where it was copied: of this copy nothing is verified"
    ),
    "archive-unsigned": "nothing in it can be trusted; look for another",
    "envelope-truncated": (f"fetch it again from where it was copied, or {_SALVAGE}"),
    "envelope-damaged": "fetch it again from where it was copied, or use another copy",
    "undecryptable": "name the identity that it was encrypted for: --identity FILE",
    "undecryptable/passphrase": (
        "give the passphrase that it was encrypted with: --passphrase on a terminal, or"
        " --passphrase-file, --passphrase-fd, --passphrase-command"
    ),
    "archive-unsupported": _NEWER,
    "not-an-archive/repacked": _REPACKED,
    "not-an-archive": "name a file that wmbackup backup has made",
    "archive-armored": (
        "decrypt it first: age -d -i identity.txt {path:ARCHIVE} > plain.wmbackup.tar"
    ),
    "signer-untrusted": (
        "if you know that this key is the one of the machine that made it:"
        " wmbackup key trust {path:FILE} --fingerprint {fingerprint:SHA256:...}"
    ),
    "signer-untrusted/pipe": (
        "if you know that this key is the one of the machine that made it, save the archive to a"
        " file, then: wmbackup key trust FILE --fingerprint {fingerprint:SHA256:...}"
    ),
    "signer-revoked": "use an archive that a key signed which is not revoked",
    "signer-expired": "see how long each key is trusted: wmbackup key list",
    "too-few-signers": (
        "let another trusted signer countersign it: wmbackup key sign {path:ARCHIVE}"
    ),
    "not-an-archive/pipe": "save it to a file first",
    "signed-already": "nothing more fits in; the archive is as it was",
    "signed-already/same-key": (
        "another signer has another key: wmbackup key sign {path:ARCHIVE} --signing-key FILE"
    ),
    "read-back-failed/in-place": "the archive is as it was; check the disk",
    "trust-file-invalid/valid-later": (
        "choose a later time, or take its line out: wmbackup key untrust NAME"
    ),
    "usage/key-elsewhere": (
        "make another key with ssh-keygen -t ed25519, add it to ssh-agent, and trust it:"
        " wmbackup key trust FILE.pub"
    ),
    "*/rotation": "complete the rotation: wmbackup key rotate",
    "key-trusted-otherwise": (
        "take its line out first, then trust it anew: wmbackup key untrust FINGERPRINT"
    ),
    "signer-missing": "let that signer countersign it: wmbackup key sign {path:ARCHIVE}",
    "not-found/no-folder": "choose another, or create it: {make:mkdir FOLDER}",
    "not-found/no-file": "check its path",
    "not-found/withheld": (
        "ask the shop that sold it for a new one, which is named by:"
        " wmbackup list {path:ARCHIVE} --at-risk"
    ),
    "not-found/no-match": (
        "see what there is, with paths as they are taken: wmbackup list {path:ARCHIVE}"
    ),
    "history-inconsistent": (
        "find out who has changed the folder; whose it is: wmbackup list {path:ARCHIVE}"
    ),
    "history-inconsistent/forked": (
        "a machine that was restored or copied may have made one of them: keep both, and make a new"
        " archive"
    ),
    "history-inconsistent/contradicts": (
        "find out who has changed the folder; whose it is: wmbackup list {path:ARCHIVE}"
    ),
    "history-inconsistent/incomplete": "leave --complete out where archives were pruned",
    "history-inconsistent/future": "set the clock of this machine right, or of the one that signed",
    "archive-stale": (
        "see why the backup does not run, and make one: wmbackup backup -o {path:FOLDER}"
    ),
    "archive-older": "look for the newer archive; to restore this one all the same: --allow-older",
    "not-found/none-of-ours": (
        "only what this machine has signed is pruned; see whose they are:"
        " wmbackup list {path:FOLDER}"
    ),
    "not-found/no-archives": (
        "name a folder of archives; a folder of licenses is a store: wmbackup list --store"
        " {path:FOLDER}"
    ),
    "archive-unavailable/named-pipe": (
        "read it from standard input: wmbackup verify - < {path:PIPE}"
    ),
    "store-unavailable/no-folder": "check its path",
    "store-unavailable/no-such-store": "name the folder it is in",
    "store-unavailable/unreadable": "check its permissions, or run as a user who may read it",
    "store-unavailable/components-server": _MEDIA_FOUNDATION,
    "store-unavailable/components-n-edition": _FEATURE_PACK,
    "store-unavailable/components-missing": _PLAYER,
    "store-unavailable/not-started": "run it from where it is installed",
    "store-unavailable/apartment": "call it from a thread of its own",
    "store-unavailable/no-library": (
        "install the Media Feature Pack (N editions) or Media Foundation (Server), and use a 32-bit"
        " Python"
    ),
    "store-unavailable/no-function": "see what this system can do: wmbackup check",
    "store-unavailable/not-windows": (
        "back up a mounted Windows disk by its license folder, which then serves that machine:"
        ' --store "drm:DISK/ProgramData/Microsoft/Windows/DRM" (Windows 2000 and XP:'
        ' "drm:DISK/Documents and Settings/All Users/DRM"), or what Windows Media Player wrote:'
        ' --store "bak:DISK/.../License Backup"'
    ),
    "incomplete": "leave --strict out to back up the rest",
    "nothing-to-back-up": "no archive was made; older ones are as they were",
    "busy/itself": "wait on another thread",
    "busy/same": "wait for it to end, or cancel it",
    "busy": "wait for it to end, or add --lock-wait SECONDS",
    "read-back-failed": "nothing was published; check the disk and write to another one",
    "partly-restored": _MISSING,
    "interface-crashed": _CRASHED,
}
"""After an error."""

EXPLAINED: Mapping[str, str] = {
    "failed": "read the error on standard error, and its hint",
    "usage": "see the options of the command: wmbackup COMMAND --help",
    "invalid-argument": "see the documentation of the interface that is mirrored",
    "config-invalid": "see what is in force: wmbackup check",
    "setup-unusable": "check the path and the permissions: wmbackup check",
    "principal-taken": "trust the key under a name of its own: wmbackup key trust FILE",
    "confirmation-needed": "add --yes, or --dry-run to look",
    "declined": "nothing was changed; start it again when you want to",
    "system": "see what the system lacks: space, permissions, or a disk that works",
    "not-found": "check the path, or see: wmbackup check",
    "archive-unavailable": "check its path and its permissions",
    "store-unavailable": "check its path, or see what this system can do: wmbackup check",
    "cancelled": "nothing was left behind; start it again when you want to",
    "interface": "see the HRESULT that came along: wmbackup explain HRESULT",
    "identity-exists": "keep it: what was encrypted for it cannot be opened without it",
    "identity-invalid": "make another one: wmbackup key create --identity",
    "recipient-invalid": "make one: wmbackup key create --identity",
}
"""For errors without a step that serves all their causes, as `explain` prints it.

Where such an error is printed, its hint is made from the cause, or the message says all.
"""

WARNINGS: Mapping[str, str] = {
    "cosigner-untrusted": "trust the key of a countersigner you know: wmbackup key trust FILE.pub",
    "cosigner-revoked": f"{NOTHING}: enough others have signed it",
    "encryption-missing": "find out who has decrypted it, and who else could read it",
    "recipient-unnamed": "find out who has encrypted it anew",
    "new-chain": (
        f"{NOTHING} if this machine was restored or copied, or the archives were moved; otherwise"
        " find out who has changed them"
    ),
    "newer-known": f"{NOTHING} if the older one is meant",
    "line-gap": "to take it for an error, add --complete",
    "no-archives": NOTHING,
    "shrunk": "see what has changed; to remove them all the same, add --allow-shrink",
    "not-pruned": "see which files were skipped, or leave them out with --exclude PATTERN",
    "not-good": "look for other copies, and make a new archive: wmbackup backup -o FOLDER",
    "ledger-unusable": "set HOME or XDG_STATE_HOME to a folder that can be written",
    "incomplete-set": "look for the missing file: one is of no use without the other",
    "incomplete-set/backup": (
        "a backup of one version of licenses alone may have no others; look whether it is"
    ),
    "undo-unsure": (
        "set HOME or XDG_STATE_HOME to a folder that can be written, or restore into a folder on"
        " another file system"
    ),
    "status-unknown": "report it with what this prints: wmbackup check",
    "interface-crashed": (
        "there is nothing to do; report it with what this prints: wmbackup check"
    ),
    "restricted-failed": "see the HRESULT that came along: wmbackup explain HRESULT",
    "restore-limits": "keep the archive, whatever the service answers",
    "individualization": (
        f"read the privacy policy first: {PRIVACY_POLICY}; without --allow-individualize no upgrade"
        " is made"
    ),
    "upgrade-wanted": (
        f"read Microsoft's privacy policy, {PRIVACY_POLICY}, then restore again with"
        " --allow-individualize"
    ),
    "left-behind": "nothing in it is needed: {remove:rm -r FOLDER}",
    "not-undone": (
        "do not remove it; when the disk works again, the next restore into this folder puts back"
        " what was there before"
    ),
    "rolled-back": NOTHING,
    "foreign-restore": (
        "nothing in it is needed, unless that restore is under way: {remove:rm -r FOLDER}"
    ),
    "foreign-restore/no-folder": (
        "give it another name, or, if nobody needs it: {remove:rm -r FILE}"
    ),
    "foreign-restore/journal": (
        "run that restore again as the user, and on the machine, that began it: it puts back what"
        " was there before; if nobody needs that any more: {remove:rm -r FOLDER}"
    ),
    "files-left-out": "add --verbose to list them, or --all-files to back them up as well",
    "files-left-out/all": (
        "name the folder that has the license files, or take all files with folder:PATH"
    ),
    "not-enumerated": "see what this computer can do: wmbackup check --store windows",
    "license-unreadable": "there is nothing to do: the backup has it all the same",
    "rights-unreadable": "there is nothing to do: the backup has it all the same",
    "search-depth": "if there is one, name it itself with drm:PATH",
    "reading-again": NOTHING,
    "root-missing": "to restore the root as well, add --kid {subject:KEY-ID}",
    "root-missing/withheld": (
        "the root was not backed up: its issuer forbids that; ask the shop for a new license"
    ),
    "root-missing/not-here": (
        "this archive does not have the root: search others with --kid {subject:KEY-ID}"
    ),
    "root-missing/more": NOTHING,
    "other-machine": "restore it there, or use an archive of the store called windows",
    "windows-bitness": (
        "use a 32-bit Python, the installer (32-bit) of python.org or wmbackup's folder; Python"
        " 3.11 and later need Windows 8.1 or later"
    ),
    "windows-components": _PLAYER,
    "windows-components/server": _MEDIA_FOUNDATION,
    "windows-components/n-edition": _FEATURE_PACK,
    "windows-interface": _DEBUG,
    "windows-interface/gone": (
        "this Windows has the interface no more; back up the license folder with drm:PATH, which"
        " serves this machine alone"
    ),
    "windows-enumeration": (
        "nothing needs to be done: Windows XP and before have none, and a backup works without"
    ),
    "windows-policy": (
        "before a restore, turn it off: Computer Configuration, Administrative Templates, Windows"
        " Components, Windows Media Digital Rights Management, Prevent Windows Media DRM Internet"
        " Access"
    ),
    "windows-rights": "run as the user who plays the media, or as an administrator",
    "windows-rights/no-folder": (
        "nothing was ever licensed here; back up the machine on which the media play"
    ),
    "deprecated": "read https://www.microsoft.com/PlayReady/, and keep your archives",
}
"""After a warning or a notice."""

CATEGORIES: Mapping[str, str] = {
    "ok": NOTHING,
    "exists": "choose another output, or replace the backup that is there with --force",
    "corrupt": "run wmbackup verify on the archive, and restore an older one that passes",
    "busy": "close Windows Media Player and other players, then try again",
    "consent": (
        f"read Microsoft's privacy policy, {PRIVACY_POLICY}, then allow the upgrade with"
        " --allow-individualize"
    ),
    "service": (
        "check the Internet connection and try on another day; the service may be gone for good, so"
        " keep the archive"
    ),
    "limit": "open the address that the service gave, or ask the shop that sold the licenses",
    "machine": (
        "copy the DRM folder first; if the hardware or a BIOS setting has changed, put the old one"
        " back and back up there; only then reset Windows Media DRM on the changed machine and"
        " restore; never repair or reset first"
    ),
    "partial": _MISSING,
    "environment": "see what this system and this Python can do: wmbackup check",
    "cancelled": "start again when you want to",
    "other": _DEBUG,
}
"""After an HRESULT that has no step of its own, by its class."""

_POLICY = "ask whoever sets the group policy to allow it; see: wmbackup check"
_NOT_YET = "wait until the day on which it begins: wmbackup list --store windows --long"

HRESULTS: Mapping[str, str] = {
    "NS_E_FEATURE_DISABLED_BY_GROUP_POLICY": _POLICY,
    "NS_E_WMDRM_DEPRECATED": (
        "back up the license folder with drm:PATH, which serves this machine only"
    ),
    "NS_E_WMPBR_NOLISTENER": "start Windows Media Player again, or use wmbackup backup",
    "NS_E_WMP_DRM_LICENSE_NOTENABLED": _NOT_YET,
    "NS_E_DRM_POLICY_DISABLE_ONLINE": (
        "ask whoever sets the group policy to lift it for the time of the restore; see:"
        " wmbackup check"
    ),
    "NS_E_DRM_POLICY_METERING_DISABLED": _POLICY,
    "NS_E_DRM_LICENSE_NOTENABLED": _NOT_YET,
    "ERROR_ACCESS_DISABLED_BY_POLICY": _POLICY,
    "STATUS_ACCESS_VIOLATION": _CRASHED,
}
"""After an HRESULT whose step is a command, by its name; the table of HRESULTs has all others."""
