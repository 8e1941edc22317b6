"""What a run leaves for those who did not watch it: a log, metrics, and a command that it runs."""
