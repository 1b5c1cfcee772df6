"""How long the store keeps texts."""

from datetime import timedelta

from relay.config.relay_toml import Tables
from relay.config.values import RetentionConfig


def retention_config(file: Tables) -> RetentionConfig:
    """Return how long texts are kept; without a setting for ever."""
    days = file.retention.texts.removesuffix("d")
    return RetentionConfig(timedelta(days=int(days)) if days else None)
