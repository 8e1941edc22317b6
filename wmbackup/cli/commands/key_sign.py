"""``wmbackup key sign``."""

from __future__ import annotations

import click

from wmbackup.cli.click_ext import command as declare
from wmbackup.cli.click_ext import option
from wmbackup.cli.encryption import Identities, identity_options
from wmbackup.cli.known import Known
from wmbackup.cli.render.output import Message
from wmbackup.cli.render.sanitize import count
from wmbackup.cli.session import Session
from wmbackup.cli.signing import KeyGiven, signing_key, signing_options
from wmbackup.engine import countersign
from wmbackup.errors import ExitCode, UsageError
from wmbackup.history.records import replace_file
from wmbackup.status import Phase


@declare("sign", example="wmbackup key sign licenses.wmbackup.tar", short="countersign an archive")
@click.argument("archive", metavar="ARCHIVE")
@signing_options("How")
@option(
    "--allowed-signers", metavar="F", section="Trust",
    help="use this allowed_signers file instead of your own",
)  # fmt: skip
@identity_options
def sign(
    session: Session,
    archive: str,
    key: KeyGiven,
    allowed_signers: str | None,
    opens: Identities,
) -> ExitCode:
    """Add a countersignature to an archive that somebody else has made.

    The archive is verified first, byte by byte, and its signers have to be trusted. Not a byte of
    what was signed is changed; the file is replaced at once, after it was read back.
    """
    if archive == "-":
        raise UsageError(
            "an archive on standard input cannot be countersigned", hint="save it to a file first"
        )
    policy = session.policy(allowed_signers)
    session.steps = (Phase.AUTHENTICATING, Phase.VERIFYING, Phase.SEALING, Phase.READING_BACK)
    done = countersign(
        archive,
        signing_key(session, key),
        policy,
        session.control(),
        identities=opens,
        locks=session.locks(),
    )
    Known(session).change(lambda memory: replace_file(memory, done.signed, done.file, done.size))
    session.output.result(
        Message(f"countersigned {archive}, which {count(done.signers, 'key')} have signed now")
    )
    return ExitCode.OK
