"""Config: the process environment and relay.toml, read and validated once; nothing else reads them."""

from relay.config.auditing import audit_keys
from relay.config.loading import load, load_rules, settings_given, store_url
from relay.config.values import (
    AuditConfig,
    Config,
    ConfigError,
    Environment,
    Listening,
    MetricsConfig,
    Route,
    SlackConfig,
)

__all__ = [
    "AuditConfig",
    "Config",
    "ConfigError",
    "Environment",
    "Listening",
    "MetricsConfig",
    "Route",
    "SlackConfig",
    "audit_keys",
    "load",
    "load_rules",
    "settings_given",
    "store_url",
]
