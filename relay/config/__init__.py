"""Config: the process environment and relay.toml, read and validated once; nothing else reads them."""

from relay.config.loading import load, store_url
from relay.config.values import Config, ConfigError, Environment, Route, SlackConfig

__all__ = ["Config", "ConfigError", "Environment", "Route", "SlackConfig", "load", "store_url"]
