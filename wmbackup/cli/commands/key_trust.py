"""``wmbackup key list``, ``trust``, ``untrust`` and ``revoke``: whose archives are trusted."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import click

from wmbackup.archive import sshsig
from wmbackup.cli.affected import affected_by, signed_in
from wmbackup.cli.click_ext import command as declare
from wmbackup.cli.click_ext import option
from wmbackup.cli.encryption import Identities, identity_options
from wmbackup.cli.keyring import (
    confirm_key,
    described,
    key_from_archive,
    key_from_file,
    parse_date,
    trust_rows,
)
from wmbackup.cli.render.output import Message, Revoked
from wmbackup.cli.render.shell import quote
from wmbackup.cli.session import (
    Session,
    allowed_signers_path,
    allowed_signers_paths,
    is_terminal,
    own_revoked_keys_path,
    revoked_keys_paths,
    signing_key_path,
)
from wmbackup.cli.signing import has_own
from wmbackup.engine import open_archive
from wmbackup.errors import ExitCode, NotFound, SignerUntrusted, UsageError
from wmbackup.trust import Signer, trust_files
from wmbackup.trust.edits import is_meant, names_key
from wmbackup.trust.patterns import has_patterns, matches
from wmbackup.trust.trust_files import KeyTrustedOtherwise
from wmbackup.trust.unlock import read_public

_FILE = {
    "metavar": "F",
    "section": "What",
    "help": "use this allowed_signers file instead of your own",
}


@declare("list", example="wmbackup key list", short="list who is trusted, and who is revoked")
@option("--allowed-signers", **_FILE)
def _list(session: Session, allowed_signers: str | None) -> ExitCode:
    """List the keys that are trusted, since when and until when, and those that are revoked.

    Without a terminal the columns are tab-separated: role, principal, fingerprint, valid after,
    valid before, public key, file, state, and the file that revokes it.
    """
    files = allowed_signers_paths() if allowed_signers is None else (allowed_signers,)
    policy = session.policy(allowed_signers)
    revoked = trust_files.revoked_in(revoked_keys_paths())
    session.data_on_stdout = True
    session.output.keys(trust_rows(files, revoked, datetime.now(UTC)))
    if not policy.signers and not policy.revoked:
        session.output.result(Message(f"no keys are trusted in {' or '.join(files)}"))
    return ExitCode.OK


@declare("trust", example="wmbackup key trust other.pub", short="trust another machine's key")
@click.argument("source", metavar="FILE|ARCHIVE")
@option(
    "--fingerprint",
    metavar="SHA256:...",
    section="What",
    help="the key that is expected; needed for an archive when nobody can be asked",
)
@option(
    "--as", "name", metavar="NAME", section="What", command_line_only=True,
    help="trust it as this principal instead of the one in the file",
)  # fmt: skip
@option(
    "--valid-before", metavar="DATE", section="What", command_line_only=True,
    help="trust what it signs before this time (UTC), such as 2027-01-01",
)  # fmt: skip
@option(
    "--allowed-signers", metavar="F", section="What",
    help="add the key to this file instead of your own",
)  # fmt: skip
@identity_options
def _trust(
    session: Session,
    source: str,
    fingerprint: str | None,
    name: str | None,
    valid_before: str | None,
    allowed_signers: str | None,
    opens: Identities,
) -> ExitCode:
    """Trust the key in a public key file, or the key that signed an archive.

    A key that comes with an archive is no evidence of who made it: compare its fingerprint with
    what you know of the machine that made it. A key that is trusted already gets an earlier end
    by --valid-before: so a machine learns that another has a new key.
    """
    until = None if valid_before is None else parse_date(valid_before, "--valid-before")
    path = allowed_signers or allowed_signers_path()
    revoked = revoked_keys_paths()
    signer = key_from_file(source, name)
    asked = None
    if signer is None:
        with open_archive(source, opens) as archive:
            signer = key_from_archive(archive, name)
        asked = archive.name if fingerprint is None else None
    if until is not None:
        signer = replace(signer, valid_before=until)
        if signer.valid_after is not None and signer.valid_after >= until:
            raise UsageError(
                f"--valid-before is not later than the time from which {source} says it is valid",
                hint="choose a later time",
            )
    mark = sshsig.fingerprint(signer.key)
    if fingerprint is not None and not names_key(fingerprint, signer.key):
        raise SignerUntrusted(
            f"the key in {source} is {mark} and not {fingerprint}",
            fingerprint=mark,
            hint="nothing was changed; find out which of the two is right",
        )
    # Whatever stands against it is reported before a question is asked.
    session.warn_of_writers(path, *revoked)
    known = trust_files.find_trusted(path, signer, revoked)
    if known is not None:
        return _known(session, path, known, name, until)
    if asked is not None:
        confirm_key(session, asked, signer)
    known = trust_files.trust(path, signer, revoked, session.trust_locks())
    if known is not None:  # by another run, while this one asked
        return _known(session, path, known, name, until)
    session.output.result(Message(f"trusting {mark} as {_told(session, signer)}"))
    return ExitCode.OK


def _told(session: Session, signer: Signer) -> str:
    """Return whom a line stands for and how long; a person sees local time."""
    local = is_terminal(sys.stdout) and not session.common.json
    return described(signer, local=local)


def _known(
    session: Session, path: str, known: Signer, name: str | None, until: datetime | None
) -> ExitCode:
    """Answer for a key that is trusted already: nothing to do, or an earlier end for it."""
    mark = sshsig.fingerprint(known.key)
    end = known.valid_before
    if name is not None and name != known.principals:
        raise KeyTrustedOtherwise(
            f"{mark} is trusted already, as {_told(session, known)}",
            hint=f"take that line out first: wmbackup key untrust {mark}",
        )
    if until is None or until == end:
        session.output.result(Message(f"{mark} is trusted already as {_told(session, known)}"))
        return ExitCode.OK
    if end is not None and end < until:
        raise KeyTrustedOtherwise(
            f"{mark} is trusted already, and until {end:%Y-%m-%dT%H:%M:%SZ} only",
            hint=f"take that line out first: wmbackup key untrust {mark}",
        )
    trust_files.limit(path, known.key, until, session.trust_locks())
    now = replace(known, valid_before=until)
    session.output.result(Message(f"trusting {mark} as {_told(session, now)}"))
    return ExitCode.OK


@declare("untrust", example="wmbackup key untrust wmbackup@old-pc", short="stop trusting a key")
@click.argument("who", metavar="NAME|FINGERPRINT")
@option(
    "--allowed-signers", metavar="F", section="What",
    help="remove it from this file instead of your own",
)  # fmt: skip
def _untrust(session: Session, who: str, allowed_signers: str | None) -> ExitCode:
    """Remove a principal or a key from the trust file.

    The file as it was is kept beside it as allowed_signers.old. A key that was stolen is to be
    revoked instead: see key revoke.
    """
    path = allowed_signers or allowed_signers_path()
    session.warn_of_writers(path)
    before = trust_files.read_signers(path, must_exist=allowed_signers is not None)
    if not who or not any(is_meant(who, one) for one in before):
        raise _unknown(who, before, path, allowed_signers)
    gone = trust_files.untrust(path, partial(is_meant, who), session.trust_locks())
    lines = ", ".join(f"{sshsig.fingerprint(one.key)} as {_told(session, one)}" for one in gone)
    session.output.result(Message(f"no longer trusting {lines}; the file as it was: {path}.old"))
    _warn_of_what_stays(session, gone, path, allowed_signers)
    return ExitCode.OK


def _warn_of_what_stays(
    session: Session, gone: Sequence[Signer], path: str, allowed_signers: str | None
) -> None:
    """Warn where another line or another file trusts a key still."""
    files = (path,) if allowed_signers is not None else allowed_signers_paths()
    keys = {one.key for one in gone}
    for file in files:
        for one in trust_files.read_signers(file):
            if one.key in keys:
                mark = sshsig.fingerprint(one.key)
                command = f"wmbackup key untrust {mark} --allowed-signers {quote(file)}"
                session.output.warning(
                    "still-trusted",
                    f"{mark} is still trusted as {one.principals} in {file}",
                    command,
                )


def _unknown(
    who: str, before: Sequence[Signer], path: str, allowed_signers: str | None
) -> NotFound:
    """Return the error for a name that is in no line of the file."""
    hint = "see who is trusted with: wmbackup key list"
    patterns = (one for one in before if has_patterns(one.principals))
    pattern = next((one for one in patterns if matches(who, one.principals)), None)
    if pattern is not None:
        hint = f"a line with patterns trusts it: wmbackup key untrust {quote(pattern.principals)}"
    elif allowed_signers is None:
        for file in allowed_signers_paths():
            if file != path and any(is_meant(who, one) for one in trust_files.read_signers(file)):
                command = f"wmbackup key untrust {quote(who)} --allowed-signers {quote(file)}"
                hint = f"it is trusted in the file of all users: {command}"
    return NotFound(f"nobody is trusted as {who} in {path}", hint=hint)


@declare(
    "revoke", example="wmbackup key revoke wmbackup@stolen-laptop", short="never trust a key again"
)
@click.argument("names", metavar="NAME|FINGERPRINT [FOLDER]", nargs=-1, required=True)
@option("--allowed-signers", **_FILE)
def _revoke(session: Session, names: tuple[str, ...], allowed_signers: str | None) -> ExitCode:
    """Add a key to revoked_keys: nothing that it ever signed is trusted any more.

    A key is named by the principal that it is trusted as, or by its fingerprint. With a folder,
    say which archives in it this affects; a key that is trusted nowhere is looked for there.
    """
    if len(names) > 2:  # noqa: PLR2004 - a name and a folder
        raise UsageError(
            "key revoke takes a name or a fingerprint, and a folder", hint="quote names with blanks"
        )
    who, folder = names[0], names[1] if len(names) > 1 else None
    path = own_revoked_keys_path()
    session.warn_of_writers(path)
    found = _keys_of(who, folder, allowed_signers)
    if len(found) != 1:
        raise _none_or_several(who, found, folder)
    ((key, principal),) = found.items()
    affected, unread = (None, ()) if folder is None else affected_by(key, folder)
    comment = f"{principal or ''} revoked {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}".strip()
    mark = sshsig.fingerprint(key)
    whose = "" if principal is None else f", {principal}"
    is_new = trust_files.revoke(path, key, comment, session.trust_locks())
    text = f"revoked {mark}{whose}" if is_new else f"{mark}{whose} is revoked already"
    if affected is not None:
        text += f"; {len(affected):,} archives in {folder} are affected"
    session.output.result(Revoked(f"{text}, in {path}", affected, unread))
    if has_own() and read_public(signing_key_path()) == key:
        session.output.warning(
            "own-key-revoked",
            "this is the signing key of this user: what it signs is not trusted any more",
            "wmbackup key rotate",
        )
    return ExitCode.OK


def _keys_of(who: str, folder: str | None, allowed_signers: str | None) -> dict[bytes, str | None]:
    """Return the keys that a name or a fingerprint means, each with the name it is trusted as."""
    files = allowed_signers_paths() if allowed_signers is None else (allowed_signers,)
    found: dict[bytes, str | None] = {}
    for file in files:
        for one in trust_files.read_signers(file, must_exist=allowed_signers is not None):
            if who and is_meant(who, one):
                found.setdefault(one.key, one.principals)
    if not found:
        found = {key: None for key in _other_keys(folder) if names_key(who, key)}
    return found


def _other_keys(folder: str | None) -> Iterator[bytes]:
    """Yield the keys that are known here and trusted nowhere."""
    yield from trust_files.read_revoked(revoked_keys_paths())
    if has_own():
        yield read_public(signing_key_path())
    for _, keys in () if folder is None else signed_in(folder):
        yield from keys or ()


def _none_or_several(
    who: str, found: dict[bytes, str | None], folder: str | None
) -> NotFound | UsageError:
    if found:
        marks = ", ".join(map(sshsig.fingerprint, found))
        return UsageError(
            f"{len(found)} keys are trusted as {who}: {marks}",
            hint="name the one that is meant by its fingerprint",
        )
    hint = "see who is trusted with: wmbackup key list"
    if who.startswith("SHA256:"):
        place = "" if folder is None else ", and signed nothing in that folder"
        hint = (
            f"the key itself is needed, and is trusted nowhere here{place}: name a folder with an"
            f" archive that it signed: wmbackup key revoke {who} FOLDER"
        )
    return NotFound(f"no key is known as {who}", hint=hint)


COMMANDS = (_list, _trust, _untrust, _revoke)
