"""``wmbackup prune``."""

from __future__ import annotations

import click

from wmbackup.cli.click_ext import command as declare
from wmbackup.cli.click_ext import option
from wmbackup.cli.encryption import Identities, identity_options
from wmbackup.cli.ledgers import own_keys
from wmbackup.cli.pruning import KeepGiven, Pruning, keep_options
from wmbackup.cli.render.hints import again
from wmbackup.cli.session import Session
from wmbackup.cli.trusting import TrustGiven, trust_options
from wmbackup.errors import ExitCode, UsageError
from wmbackup.status import Phase


@declare("prune", example="wmbackup prune backups --keep-daily 7 --keep-monthly 12 -n")
@click.argument("folder", metavar="FOLDER")
@keep_options("Retention")
@option("-n", "--dry-run", is_flag=True, section="How", help="show what would go, remove nothing")
@option(
    "--signing-key", metavar="F", section="How",
    help="the key whose archives are this machine's, instead of the one of key create",
)  # fmt: skip
@trust_options("Trust")
@identity_options
def command(
    session: Session,
    folder: str,
    keep: KeepGiven,
    signing_key: str | None,
    trust: TrustGiven,
    opens: Identities,
    *,
    dry_run: bool,
) -> ExitCode:
    """Remove old archives of this machine from a folder.

    Only what this machine has signed is removed, never the newest archive or the newest complete
    one, and nothing where the newest does not verify or has far fewer licenses or files. The rules
    are united: an archive stays where any of them keeps it.
    """
    if not keep.policy:
        raise UsageError(
            "without a --keep option every archive would go, and nothing is removed",
            hint=f"for example: {again('--keep-daily', '7')}",
        )
    session.steps = (Phase.AUTHENTICATING, Phase.VERIFYING)
    keys = own_keys(signing_key)
    pruning = Pruning(session, keys, trust.policy(session), opens, keep, dry_run=dry_run)
    done, rows, code = pruning.run(folder)
    session.output.folder(rows)
    session.output.result(done)
    return code
