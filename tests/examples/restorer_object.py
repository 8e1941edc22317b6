"""Back up with the object of the Windows Media Format SDK: asynchronous, with its statuses."""

from __future__ import annotations

from wmbackup.restorer import BackupFlags, Options, create_backup_restorer
from wmbackup.stores.sample import SampleStore
from wmbackup.trust import keys

if __name__ == "__main__":
    options = Options(signing_key=keys.load("signing_key"))
    restorer = create_backup_restorer(print, store=SampleStore(), options=options)
    restorer.set_prop("BackupPath", "sample.wmbackup.tar")
    restorer.backup_licenses(BackupFlags.OVERWRITE, print)  # returns at once
    print(restorer.wait(timeout=60))
