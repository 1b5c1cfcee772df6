"""How the record is kept: what signs it, and for how long it is kept."""

from collections.abc import Mapping
from datetime import timedelta

from pydantic import SecretStr

from relay.config.relay_toml import Tables
from relay.config.values import AuditConfig, ConfigError
from relay.config.variables import Reading

_SHORTEST = 32


def audit_config(reading: Reading, file: Tables) -> AuditConfig:
    """Return how the record is kept."""
    days = file.audit.retention.removesuffix("d")
    return AuditConfig(_keys(reading), timedelta(days=int(days)) if days else None)


def audit_keys(variables: Mapping[str, str]) -> tuple[bytes, ...]:
    """Return what signs the record, for commands that need nothing else. Raises ConfigError."""
    reading = Reading(variables)
    keys = _keys(reading)
    if reading.problems:
        raise ConfigError(reading.problems)
    return tuple(key.get_secret_value().encode() for key in keys)


def _keys(reading: Reading) -> tuple[SecretStr, ...]:
    keys = [key.strip() for key in reading.value("RELAY_AUDIT_KEY").split(",") if key.strip()]
    if any(len(key) < _SHORTEST for key in keys):
        reading.problems.append(
            f"RELAY_AUDIT_KEY is too short: say {_SHORTEST} characters or more, as `openssl rand -hex 32` "
            "makes them; older keys stand behind it, after a comma"
        )
    return tuple(SecretStr(key) for key in keys)
