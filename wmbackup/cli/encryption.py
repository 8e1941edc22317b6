"""For whom an archive is encrypted, and with what it is opened: options, files, warnings."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from wmbackup.cli.click_ext import on_command_line, option
from wmbackup.cli.passphrases import PassphraseGiven, asker, passphrase_options
from wmbackup.cli.render import next_steps
from wmbackup.cli.session import Session, config_folder
from wmbackup.errors import (
    ExitCode,
    OutputExists,
    SetupUnusable,
    SystemFailure,
    UsageError,
    WmbackupError,
)

if TYPE_CHECKING:
    from wmbackup.age.envelope import SealedEnvelope
    from wmbackup.age.keys import Identity, Recipient, X25519Identity, X25519Recipient

IDENTITY_FILE = "identity.txt"
_PGP_TAGS = (0x98, 0x99, 0xC6)
"""How a public key that `gpg --export` wrote begins: a packet of tag 6, in old form or new."""

_MAKE_ONE = (
    "on the machine that will open the archives, run: wmbackup key create --identity,"
    " and name the age1... that it prints"
)


_OPENS = "Decryption"


def identity_options(function: Callable[..., ExitCode]) -> Callable[..., ExitCode]:
    """Declare what opens an encrypted archive; the function gets it as ``opens``."""

    def called(
        *arguments: Any,  # noqa: ANN401 - those of the function
        identity: tuple[str, ...],
        passphrase: PassphraseGiven,
        **more: Any,  # noqa: ANN401 - as above
    ) -> ExitCode:
        archive = more.get("archive", more.get("archives", more.get("source")))
        if passphrase.takes_standard_input() and (archive == "-" or "-" in (archive or ())):
            raise UsageError(
                "the archive and the passphrase cannot both come through standard input",
                hint="pass the passphrase through another descriptor, such as 3",
            )
        return function(*arguments, opens=Identities(arguments[0], identity, passphrase), **more)

    functools.update_wrapper(called, function)
    chosen = passphrase_options(_OPENS, "decrypt with a passphrase")(called)
    named = option(
        "--identity", multiple=True, metavar="FILE", section=_OPENS,
        help="decrypt with the age identities in this file instead of identity.txt",
    )  # fmt: skip
    declared: Callable[..., ExitCode] = named(chosen)
    return declared


class IdentityExists(WmbackupError):
    """There is an identity already, and what was encrypted for it needs it."""

    code = "identity-exists"


class RecipientInvalid(UsageError):
    """What was given as a recipient is none of age's."""

    code = "recipient-invalid"


class IdentityInvalid(UsageError):
    """What was given as a file of identities is none."""

    code = "identity-invalid"


class Own(NamedTuple):
    """The identities of a file."""

    path: str
    identities: list[X25519Identity]


def identity_path() -> str:
    """Return where the identity of this user lives. Raises UsageError without a home."""
    folder = config_folder()
    if folder is None:
        raise UsageError(
            "there is no home folder that could hold an identity",
            hint="name one with --identity, or set HOME",
        )
    return os.path.join(folder, IDENTITY_FILE)


def create_identity(session: Session) -> Own:
    """Make the identity of this user. Raises IdentityExists, SystemFailure, UsageError."""
    from datetime import UTC, datetime

    from wmbackup.age.key_files import identity_file
    from wmbackup.age.keys import X25519Identity
    from wmbackup.storage.files import make_folders
    from wmbackup.trust import small_files

    path = identity_path()
    identity = X25519Identity.generate()
    text = identity_file(identity, datetime.now(UTC))
    try:
        make_folders(os.path.dirname(path))
        if os.path.lexists(path):
            raise _exists(path)
        small_files.write(path, text.encode(), "the identity", replace=False)
    except OutputExists:
        raise _exists(path) from None
    except OSError as error:
        raise SystemFailure.of(error, "write the identity", path) from error
    return read_identities(session, path)  # also to see who can read it


def _exists(path: str) -> IdentityExists:
    return IdentityExists(
        f"there is an identity at {path}",
        hint="keep it: what was encrypted for it cannot be opened without it;"
        " its recipient: wmbackup key show",
    )


def own_identities(session: Session) -> Own | None:
    """Read the identities of this user; None where there are none. Raises as `read_identities`."""
    folder = config_folder()
    path = None if folder is None else os.path.join(folder, IDENTITY_FILE)
    if path is None or not os.path.lexists(path):
        return None
    return read_identities(session, path)


def read_identities(session: Session, path: str) -> Own:
    """Read a file of identities. Raises IdentityInvalid, SetupUnusable, SystemFailure."""
    from wmbackup.age.key_files import parse_identities
    from wmbackup.trust import small_files

    if path.upper().startswith("AGE-SECRET-KEY-"):
        raise IdentityInvalid(
            "--identity takes a file, and not the identity itself: a command line is no secret",
            hint="make another identity, and put it into a file",
        )
    if not path:
        raise UsageError("--identity names no file", hint="name a file of age-keygen")
    found = small_files.read(path, "the identity")
    if found is None:
        raise SetupUnusable(f"there is no file {path}", hint="check its path")
    try:
        identities = parse_identities(_text(found.data))
    except ValueError as error:
        raise IdentityInvalid(
            f"{path} is not a file of age identities: {error}",
            hint="name a file that age-keygen or wmbackup key create --identity has made",
        ) from None
    if small_files.is_exposed(path, found.mode):
        text = f"other users can read the identity {path}"
        session.output.warning("identity-exposed", text, next_steps.hide(path))
    _leave_no_core()
    return Own(path, identities)


def _text(data: bytes) -> str:
    """Decode a key file. Raises ValueError, which has none of it."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return data.decode("utf-16")  # as Windows PowerShell writes texts
        except UnicodeDecodeError:
            raise ValueError("it is not a text") from None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("it is not a text") from None


def _leave_no_core() -> None:
    """Let a crash from now on leave no image of the memory on the disk."""
    if sys.platform != "win32":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def read_recipients(texts: Sequence[str]) -> list[X25519Recipient]:
    """Return the recipients that are named, each once: ``age1…`` or a file of such lines.

    Raises RecipientInvalid, SetupUnusable, SystemFailure.
    """
    found = [recipient for text in texts for recipient in _recipients(text)]
    return list(dict.fromkeys(found))


def _recipients(text: str) -> list[X25519Recipient]:
    from wmbackup.age.key_files import OtherKey, parse_recipient, parse_recipients
    from wmbackup.trust import small_files

    if text.upper().startswith("AGE-SECRET-KEY-"):
        raise RecipientInvalid(
            "--recipient was given an identity, which is secret: a command line is no secret",
            hint="make another identity with: wmbackup key create --identity",
        )
    if text.startswith("age1") and not os.path.lexists(text):
        try:
            return [parse_recipient(text)]
        except ValueError as error:
            raise RecipientInvalid(f"{text} is {error}", hint=_MAKE_ONE) from None
    found = small_files.read(text, "the recipients") if text else None
    if found is None:
        raise _not_there(text)
    try:
        if found.data[:1] and found.data[0] in _PGP_TAGS:
            raise OtherKey("it is a PGP public key")  # noqa: TRY301 - told as those that are texts
        return parse_recipients(_text(found.data))
    except OtherKey as error:
        raise RecipientInvalid(f"{text} has no age recipient: {error}", hint=_MAKE_ONE) from None
    except ValueError as error:
        raise RecipientInvalid(
            f"{text} is not a file of age recipients: {error}",
            hint="a recipient is a line that begins with age1; see: wmbackup key show",
        ) from None


def _not_there(text: str) -> UsageError:
    """Return the error for what is neither ``age1…`` nor a file."""
    from wmbackup.age.key_files import OtherKey, parse_recipient

    try:
        parse_recipient(text)
    except OtherKey as error:
        return RecipientInvalid(f"what --recipient was given is {error}", hint=_MAKE_ONE)
    except ValueError:
        pass
    if not text:
        return RecipientInvalid("--recipient names nobody", hint=_MAKE_ONE)
    if "@" in text or text.lower().startswith("0x"):
        message = f"{text} names a PGP key, and archives are encrypted with age"
        return RecipientInvalid(message, hint=_MAKE_ONE)
    return SetupUnusable(
        f"there is no file {text}", hint="a recipient is age1... or a file of such lines"
    )


def recipients_for(
    session: Session, texts: Sequence[str], passphrase: PassphraseGiven
) -> list[Recipient]:
    """Return for whom a new archive is encrypted; nobody where nothing says so.

    What the command line says goes before the configuration. A passphrase is asked for here.
    Raises RecipientInvalid, UsageError, SetupUnusable, SystemFailure.
    """
    if texts and passphrase.given and passphrase.on_command_line != on_command_line("recipient"):
        texts = () if passphrase.on_command_line else texts
        passphrase = passphrase if passphrase.on_command_line else passphrase.none()
    if texts and passphrase.given:
        raise UsageError(
            f"--recipient and {passphrase.ways[0]} contradict each other: an age file has"
            " recipients or a passphrase",
            hint="choose one",
        )
    if passphrase.given:
        from wmbackup.age.keys import Passphrase

        _leave_no_core()
        secret = asker(session, passphrase, "Passphrase for the new archive", twice=True)()
        return [Passphrase(lambda: secret)]
    return [*read_recipients(texts)]


class Identities:
    """What can open an envelope here: gathered when the first one is met."""

    def __init__(self, session: Session, files: Sequence[str], passphrase: PassphraseGiven) -> None:
        """Read the files that are named; that of this user is read when it is needed.

        Raises as `read_identities` does.
        """
        self._session = session
        self._passphrase = passphrase
        self._named = [one for path in files for one in read_identities(session, path).identities]
        self._files = bool(files)
        self._asked: Identity | None = None

    def __call__(self, envelope: SealedEnvelope) -> Sequence[Identity]:
        """Return what to try. Raises as `read_identities` and `asker` do."""
        if envelope.takes_passphrase:
            return self._passphrases()
        if self._files:
            return self._named
        own = own_identities(self._session)
        return [] if own is None else own.identities

    def _passphrases(self) -> Sequence[Identity]:
        if not (self._passphrase.given or self._session.interactive):
            return []
        if self._asked is None:
            from wmbackup.age.keys import Passphrase

            _leave_no_core()
            self._asked = Passphrase(asker(self._session, self._passphrase, "Passphrase"))
        return [self._asked]
