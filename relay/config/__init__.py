"""Config: the process environment and relay.toml, read and validated once; nothing else reads them."""

from relay.config.auditing import audit_keys
from relay.config.loading import load, load_rules, settings_given, store_url
from relay.config.present import Present, PresentOfTeam, Reload, reloaded
from relay.config.values import (
    AuditConfig,
    Config,
    ConfigError,
    Environment,
    Listening,
    MetricsConfig,
    OAuthConfig,
    Route,
    SlackConfig,
    TracingConfig,
)

__all__ = [
    "AuditConfig",
    "Config",
    "ConfigError",
    "Environment",
    "Listening",
    "MetricsConfig",
    "OAuthConfig",
    "Present",
    "PresentOfTeam",
    "Reload",
    "Route",
    "SlackConfig",
    "TracingConfig",
    "audit_keys",
    "load",
    "load_rules",
    "reloaded",
    "settings_given",
    "store_url",
]
