"""Hypothesis profiles: a pytest plugin, so that every kind of test can be run with them."""

from hypothesis import HealthCheck, settings

# Long runs look for rare orders of events; slowness is no finding there.
settings.register_profile(
    "nightly",
    max_examples=5_000,
    stateful_step_count=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
