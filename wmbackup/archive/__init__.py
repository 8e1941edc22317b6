"""The signed bag: bytes in and bytes out, as `wmbackup-archive(5)` specifies it.

Nothing here opens a path or decides whom to trust: file objects come from the caller, and who
signed goes back to it.
"""
