"""The worker process: one more Python that does a part of the work of a backup or a restore.

Only this package knows how a worker is started, asked and stopped. Whoever calls the engine passes
`wmbackup.workers.process.Workers` to allow one; without it the library starts no process.
"""
