"""What each error means, as `explain` says it, by its code."""

from __future__ import annotations

from collections.abc import Mapping

SENTENCES: Mapping[str, str] = {
    "history-inconsistent": (
        "the archives of a series contradict each other, the clock or what is known of them"
    ),
    "archive-stale": "the newest archive of a series is older than it may be",
    "archive-older": "an archive is older than the newest one of its series that is known here",
    "failed": "the command failed for a reason that has no code of its own",
    "usage": "the request contradicts itself, or names something that is not valid",
    "invalid-argument": "E_INVALIDARG: a callback, a flag or a property is not valid",
    "config-invalid": "the configuration has a key, a value or a form that is not valid",
    "setup-unusable": (
        "a key, a trust file or the configuration is missing, cannot be read, or is not a file"
    ),
    "signing-key-missing": "there is no signing key, and nobody to ask whether to make one",
    "signing-key-unusable": "the file of the signing key has no Ed25519 key that can be used",
    "signing-key-locked": "the signing key has a passphrase, which nobody gave",
    "trust-file-invalid": (
        "a file that says whom to trust cannot be read as one, so nobody is trusted"
    ),
    "output-inside-store": "the archive would be written into the store that is read",
    "confirmation-needed": "nobody is there to confirm, and no consent was given beforehand",
    "store-read-only": "the store cannot take what should be restored into it",
    "recipient-invalid": "what was given as a recipient is not one of age",
    "identity-invalid": "what was given as a file of identities is not one",
    "identity-exists": "there is an identity already, and what was encrypted for it needs it",
    "output-exists": "the output exists and may not be replaced",
    "restore-conflict": "the target has files with other content where those of the archive go",
    "hook-failed": "the backup ended, and the command that was to run after it failed",
    "half-restored": "the store is in the middle of a restore, which runs or was interrupted",
    "declined": "the user saw the plan or the question and said no",
    "timed-out": "the time that the caller gave is over",
    "system": "the operating system refused: no space, no permission, a broken disk, a limit",
    "unconfirmed": (
        "the output is complete, and the system did not confirm that it is on the disk"
    ),
    "archive-damaged": "the archive is not what its signer sealed",
    "archive-truncated": "the archive ends too early",
    "archive-unsigned": "the archive has no signature",
    "envelope-damaged": "the encryption around the archive is malformed or was changed",
    "envelope-truncated": "the encryption around the archive ends too early",
    "undecryptable": "no identity and no passphrase here opens the archive",
    "archive-unsupported": (
        "the archive is of a version, or needs a feature, that this program does not know"
    ),
    "not-an-archive": "the file does not begin as an archive",
    "archive-armored": "the archive is an age file in armor, which has to be taken off first",
    "signer-untrusted": "nobody who signed is trusted here",
    "signer-revoked": "the key of the signer is revoked",
    "signer-expired": "the keys that signed were not valid when the archive was signed",
    "signer-missing": "a principal that has to be among the signers did not sign",
    "signed-already": "the archive has a signature of this key, or has all that it can have",
    "key-trusted-otherwise": (
        "the key is trusted already, under another name or for another time than was asked"
    ),
    "too-few-signers": "fewer trusted principals signed than are required",
    "not-found": "what was named is not there",
    "archive-unavailable": "the archive cannot be read, or is not a file",
    "store-unavailable": "the store is missing, cannot be read, or does not exist on this system",
    "nothing-to-back-up": "the store has nothing that may be backed up, so no archive was made",
    "incomplete": "something would be left out, and was asked to be a failure",
    "busy": "another run holds the store or the destination",
    "cancelled": "the command was interrupted, and left nothing behind",
    "principal-unfit": (
        "a principal is not a plain name, so that a line with it could mean something else"
    ),
    "principal-taken": "another key holds the principal already",
    "key-revoked": "the key is revoked, and a revoked key is not trusted again",
    "key-exists": "there is a signing key already, and another would orphan what it signed",
    "read-back-failed": "the disk gave back other bytes than were written; nothing was published",
    "interface": "the Windows Media interface answered with a failure",
    "interface-crashed": "a component of Microsoft crashed, and this program went on",
    "partly-restored": "the interface restored some of the licenses and not the others",
}
