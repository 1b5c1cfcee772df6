"""Where traces are sent: as the standard's variables say, then the file, and nowhere without either."""

from pathlib import Path

import pytest

from relay.config import TracingConfig
from tests.settings import HTTP, config_of, problems_of

GENERAL, OF_TRACES = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
TABLE = '[tracing]\nendpoint = "http://collector:4318"\n'


def test_by_default_nowhere(tmp_path: Path) -> None:
    assert config_of(tmp_path).tracing == TracingConfig()


@pytest.mark.parametrize("url", ["http://collector:4318", "http://collector:4318/"])
def test_the_general_variable_names_the_collector(tmp_path: Path, url: str) -> None:
    tracing = config_of(tmp_path, **{GENERAL: url}).tracing  # type: ignore[arg-type]
    assert tracing == TracingConfig("http://collector:4318/v1/traces", GENERAL)


def test_the_one_for_traces_is_taken_as_it_is_and_before_the_general_one(tmp_path: Path) -> None:
    variables = {**HTTP, GENERAL: "http://other:4318", OF_TRACES: "http://collector/traces"}
    assert config_of(tmp_path, variables).tracing.endpoint == "http://collector/traces"


def test_the_table_is_as_good_and_has_to_work(tmp_path: Path) -> None:
    tracing = config_of(tmp_path, toml=TABLE).tracing
    assert (tracing.endpoint, tracing.wanted) == ("http://collector:4318/v1/traces", True)


def test_a_variable_goes_before_the_table(tmp_path: Path) -> None:
    tracing = config_of(tmp_path, {**HTTP, GENERAL: "http://other:4318"}, TABLE).tracing
    assert (tracing.endpoint, tracing.wanted) == ("http://other:4318/v1/traces", False)


@pytest.mark.parametrize(("name", "value"), [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")])
def test_the_standards_switches_switch_it_off(tmp_path: Path, name: str, value: str) -> None:
    variables = {**HTTP, GENERAL: "http://collector:4318", name: value}
    assert config_of(tmp_path, variables, TABLE).tracing == TracingConfig()


def test_a_collector_that_wants_another_protocol_is_left_alone_and_that_is_said(tmp_path: Path) -> None:
    variables = {**HTTP, GENERAL: "http://collector:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    config = config_of(tmp_path, variables)
    assert config.tracing.endpoint == ""
    assert config.unused == (config.tracing.off,)
    assert "'grpc'" in config.tracing.off and "http/protobuf" in config.tracing.off


@pytest.mark.parametrize("url", ["collector:4318", "ftp://collector", "http://"])
def test_what_is_no_address_is_a_problem(tmp_path: Path, url: str) -> None:
    assert problems_of(tmp_path, {**HTTP, GENERAL: url})[0].startswith(f"{GENERAL} is malformed")
    toml = TABLE.replace("http://collector:4318", url)
    [problem] = problems_of(tmp_path, HTTP, toml)
    assert problem.startswith("relay.toml: line 2: tracing.endpoint is malformed")


def test_where_a_cloud_tells_its_secrets_no_collector_is(tmp_path: Path) -> None:
    [problem] = problems_of(tmp_path, {**HTTP, GENERAL: "http://169.254.169.254"})
    assert problem.startswith(f"{GENERAL} leads to 169.254.169.254")


def test_a_setting_that_is_none_is_named(tmp_path: Path) -> None:
    [problem] = problems_of(tmp_path, HTTP, '[tracing]\nendpiont = "http://collector:4318"\n')
    assert "did you mean endpoint?" in problem
