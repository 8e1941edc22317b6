"""Who may sign: keys, the files that say whom to trust, and the policy made of them."""

from __future__ import annotations

from wmbackup.trust.allowed_signers import (
    TrustFileInvalid,
    parse_allowed_signers,
    parse_key_file,
    parse_revoked,
)
from wmbackup.trust.policy import Policy, Signer, principal_of
from wmbackup.trust.trust_files import read_policy

__all__ = [
    "Policy",
    "Signer",
    "TrustFileInvalid",
    "parse_allowed_signers",
    "parse_key_file",
    "parse_revoked",
    "principal_of",
    "read_policy",
]
