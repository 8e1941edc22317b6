"""What one license looks like: from bytes to licenses, or "not mine".

Nothing here reads a key. What cannot be read without one is opaque and said to be so.
"""

from __future__ import annotations

from wmbackup.formats.detect import forbids_backup, kind_of_file, recognize, recognize_file

__all__ = ["forbids_backup", "kind_of_file", "recognize", "recognize_file"]
