"""What statuses and exit codes mean, and the next step after each, as `explain` says it."""

from __future__ import annotations

from wmbackup.cli.render.hint_texts import NOTHING
from wmbackup.errors import ExitCode
from wmbackup.status import Status

STATUSES = {
    Status.ERROR: "an error occurred; its HRESULT says which",
    Status.OPENED: "a media file or stream has been opened",
    Status.BUFFERING_START: "a player begins to fill its buffer",
    Status.BUFFERING_STOP: "a player has filled its buffer",
    Status.EOF: "the end of a media file was reached",
    Status.END_OF_SEGMENT: "the end of a part of a media file was reached",
    Status.END_OF_STREAMING: "a server has sent its stream to the end",
    Status.LOCATING: "a server is being looked for",
    Status.CONNECTING: "a player connects to a server",
    Status.NO_RIGHTS: "a protected file of version 1 has no license here",
    Status.MISSING_CODEC: "what decodes the file is not installed",
    Status.STARTED: "playing has begun",
    Status.STOPPED: "playing has stopped",
    Status.CLOSED: "a media file or stream has been closed",
    Status.STRIDING: "a player skips through the file faster than it plays",
    Status.TIMER: "a time that a player asked for has come",
    Status.INDEX_PROGRESS: "a media file is being indexed",
    Status.SAVEAS_START: "a stream begins to be saved",
    Status.SAVEAS_STOP: "a stream has been saved",
    Status.NEW_SOURCEFLAGS: "what can be done with the open file has changed",
    Status.NEW_METADATA: "new text about the open file has come",
    Status.SOURCE_SWITCH: "a server has gone on to its next source",
    Status.ACQUIRE_LICENSE: "a license is being fetched",
    Status.NO_RIGHTS_EX: "a protected file has no license here; the address of one comes along",
    Status.INDIVIDUALIZE: "the DRM component is being upgraded for this machine",
    Status.NEEDS_INDIVIDUALIZATION: "the DRM component wants an upgrade for this machine first",
    Status.BACKUPRESTORE_BEGIN: "the backup or the restore begins",
    Status.BACKUPRESTORE_END: "the backup or the restore has ended",
    Status.BACKUPRESTORE_CONNECTING: "the credentials are being checked",
    Status.BACKUPRESTORE_DISCONNECTING: "the credentials are good",
    Status.ERROR_WITHURL: "the right to restore was refused; a page on the Web says more",
    Status.RESTRICTED_LICENSE: "the issuer of a license forbids its backup; its key ID comes along",
}
NEXT_STEPS = {
    Status.ERROR: "ask for the HRESULT that came along: wmbackup explain HRESULT",
    Status.RESTRICTED_LICENSE: "ask the shop that sold it for a new one after a change of machine",
    Status.ERROR_WITHURL: "open the address that came along",
    Status.NEEDS_INDIVIDUALIZATION: "read the privacy policy, then allow the upgrade",
    Status.NO_RIGHTS: "restore the licenses, or ask the shop that sold the file",
    Status.NO_RIGHTS_EX: "restore the licenses, or open the address that came along",
    Status.MISSING_CODEC: "install the codec; licenses have nothing to do with it",
    Status.ACQUIRE_LICENSE: "wait until it has come before you back up",
    Status.INDIVIDUALIZE: "wait until it is done before you back up or restore",
}
CODES = {
    ExitCode.OK: NOTHING,
    ExitCode.FAILED: "read the error on standard error, and its hint",
    ExitCode.USAGE: "read the hint, or see wmbackup COMMAND --help and wmbackup check",
    ExitCode.PARTIAL: "see which files were named on standard error",
    ExitCode.DAMAGED: "fetch the archive again from where it was copied, or use an older one",
    ExitCode.UNTRUSTED: "compare the fingerprint with what you know, then wmbackup key trust",
    ExitCode.UNDECRYPTABLE: "look for the key or the passphrase that it was encrypted to",
    ExitCode.NOT_FOUND: "check the path, or see wmbackup check",
    ExitCode.BUSY: "try again later, or add --lock-wait SECONDS",
    ExitCode.REFUSED: "read what the service answered; keep the archive",
    ExitCode.STALE: "look for a newer archive",
    ExitCode.DIFFERS: "look at what differs; an expired license deletes itself",
    ExitCode.INTERRUPTED: "start it again",
    ExitCode.TERMINATED: "start it again",
}
