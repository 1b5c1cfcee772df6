"""Where traces are sent, if anywhere: as the standard OTEL_ variables say, or [tracing]."""

from importlib.util import find_spec

from relay.config.relay_toml import Tables
from relay.config.values import TracingConfig
from relay.config.variables import Reading, is_url

ENDPOINT, OF_TRACES = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_SPOKEN = "http/protobuf"
_PATH = "/v1/traces"
_SENDS = "opentelemetry.exporter.otlp.proto.http"
UNSENT = "asks for traces, and what sends them is not installed"
TRACING_FIX = "in the checkout of relay, with the pip of where relay is installed: pip install '.[tracing]'"


def tracing_config(reading: Reading, file: Tables) -> TracingConfig:
    """Return where traces are sent: the variables before the file, without either nowhere."""
    said = {name: reading.variables.get(name, "").strip() for name in (OF_TRACES, ENDPOINT)}
    where = next((name for name, url in said.items() if url), "")
    url, wanted = (said[where], False) if where else (file.tracing.endpoint or "", True)
    where = where or f"{file.at('tracing', 'endpoint')}tracing.endpoint"
    if not url or _switched_off(reading):
        return TracingConfig()
    if not is_url(url):
        reading.problems.append(f"{where} is malformed: an http:// or https:// URL of a collector")
    if not wanted and (spoken := _protocol(reading)) != _SPOKEN:
        # Others in the same environment may be meant: relay does its work without.
        return TracingConfig(
            off=f"{where} is not used: its protocol is {spoken!r}, and relay speaks {_SPOKEN}"
        )
    return TracingConfig(url if where == OF_TRACES else url.rstrip("/") + _PATH, where, wanted=wanted)


def _switched_off(reading: Reading) -> bool:
    """Return whether the standard says that there are no traces."""
    is_off = reading.variables.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return is_off or reading.variables.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none"


def _protocol(reading: Reading) -> str:
    return next((said for name in _PROTOCOLS if (said := reading.variables.get(name, "").strip())), _SPOKEN)


def lacks_tracing(tracing: TracingConfig) -> str:
    """Return that what sends the traces that are asked for is not installed; nothing where all is well."""
    if not tracing.endpoint or _is_there(_SENDS):
        return ""
    return f"{tracing.where} {UNSENT}"


def _is_there(module: str) -> bool:
    """Return whether a module can be imported, without doing it: that takes a while."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # what it would be in is not there either
        return False
