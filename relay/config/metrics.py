"""Where figures are told, if anywhere."""

from relay.config.relay_toml import Tables
from relay.config.values import MetricsConfig
from relay.config.variables import Reading, is_port

PORT = "RELAY_METRICS_PORT"


_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - looked for, not listened on


def metrics_config(reading: Reading, file: Tables, host: str, port: int) -> MetricsConfig:
    """Return where figures are told: the variable before the file, without either nowhere.

    On `port` of `host` relay itself listens.
    """
    value = reading.checked(PORT, is_port, "a number from 0 to 65535, where 0 takes any port")
    found = MetricsConfig(int(value) if is_port(value) else file.metrics.port, file.metrics.host)
    is_near = found.host == host or host in _EVERYWHERE or found.host in _EVERYWHERE
    if port and found.port == port and is_near:
        reading.problems.append(f"{PORT} and RELAY_PORT are both {port}: each listens on a port of its own")
    return found
