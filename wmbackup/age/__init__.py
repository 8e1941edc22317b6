"""The encrypted envelope around an archive: age v1 (C2SP ``age``), on `cryptography` alone.

X25519 recipients and passphrases; binary files. The native bindings of other implementations have
no wheel for the 32-bit Windows Python that the Windows Media interface needs.
"""
