"""Where archives live: local folders, atomic publishing, private files, locks."""
