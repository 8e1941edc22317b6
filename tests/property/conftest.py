from __future__ import annotations

from hypothesis import HealthCheck, settings

# The same examples in every run and on every machine: what fails here fails everywhere.
settings.register_profile(
    "wmbackup",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("wmbackup")
