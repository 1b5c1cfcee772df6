"""Where figures are told, if anywhere."""

from relay.config.relay_toml import Tables
from relay.config.values import MetricsConfig
from relay.config.variables import Reading, is_port

PORT = "RELAY_METRICS_PORT"


def metrics_config(reading: Reading, file: Tables) -> MetricsConfig:
    """Return where figures are told: the variable before the file, without either nowhere."""
    value = reading.checked(PORT, is_port, "a number from 0 to 65535, where 0 takes any port")
    return MetricsConfig(int(value) if is_port(value) else file.metrics.port, file.metrics.host)
