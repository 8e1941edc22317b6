"""``python -m wmbackup``."""

from wmbackup.cli import main

raise SystemExit(main())
