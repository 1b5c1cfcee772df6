"""Where figures are told: by a variable, by the file, or nowhere."""

from pathlib import Path

import pytest

from relay.cli import main
from relay.config import MetricsConfig
from tests.settings import HTTP, config_of, problems_of

TABLE = "[metrics]\nport = 9464\n"


def test_without_a_setting_nothing_is_told(tmp_path: Path) -> None:
    assert config_of(tmp_path).metrics == MetricsConfig(None, "127.0.0.1")


@pytest.mark.parametrize("port", ["0", "9464"])
def test_the_variable_says_the_port(tmp_path: Path, port: str) -> None:
    assert config_of(tmp_path, RELAY_METRICS_PORT=port).metrics == MetricsConfig(int(port), "127.0.0.1")


def test_the_file_says_port_and_host(tmp_path: Path) -> None:
    toml = TABLE + 'host = "0.0.0.0"\n'
    assert config_of(tmp_path, toml=toml).metrics == MetricsConfig(9464, "0.0.0.0")


def test_the_variable_comes_before_the_file_and_the_other_is_said_to_be_unused(tmp_path: Path) -> None:
    config = config_of(tmp_path, toml=TABLE, RELAY_METRICS_PORT="9000")
    assert config.metrics.port == 9000
    assert config.unused == ("metrics.port: RELAY_METRICS_PORT says another",)


def test_a_host_without_a_port_is_unused(tmp_path: Path) -> None:
    [said] = config_of(tmp_path, toml='[metrics]\nhost = "0.0.0.0"\n').unused
    assert said.startswith("metrics.host: without metrics.port")


@pytest.mark.parametrize("port", ["65536", "-1", "http", "9464.0"])
def test_a_variable_that_is_no_port_is_refused(tmp_path: Path, port: str) -> None:
    [problem] = problems_of(tmp_path, RELAY_METRICS_PORT=port)
    assert problem == "RELAY_METRICS_PORT is malformed: a number from 0 to 65535, where 0 takes any port"


def test_relay_check_refuses_a_bad_port_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in HTTP.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "relay.toml"
    path.write_text('[slack]\ncommand = "/x"\n\n[metrics]\nport = 70000\n', encoding="utf-8")
    assert main(["check"]) == 2
    said = "relay.toml: line 5: metrics.port: say a whole number from 0 to 65535; 0 takes any port"
    assert said in capsys.readouterr().err
    path.write_text(TABLE, encoding="utf-8")
    assert main(["check"]) == 0
    assert "  metrics: 127.0.0.1 port 9464, /metrics" in capsys.readouterr().out


def test_figures_have_a_port_of_their_own(tmp_path: Path) -> None:
    [problem] = problems_of(tmp_path, RELAY_PORT="3100", RELAY_METRICS_PORT="3100")
    assert problem == "RELAY_METRICS_PORT and RELAY_PORT are both 3100: each listens on a port of its own"


def test_the_same_port_on_every_address_is_the_same(tmp_path: Path) -> None:
    everywhere = "0.0.0.0"
    assert problems_of(tmp_path, RELAY_PORT="3100", RELAY_METRICS_PORT="3100", RELAY_HOST=everywhere)


def test_the_same_port_of_another_address_is_another_port(tmp_path: Path) -> None:
    config = config_of(tmp_path, RELAY_PORT="3100", RELAY_METRICS_PORT="3100", RELAY_HOST="127.0.0.2")
    assert (config.port, config.metrics.port) == (3100, 3100)
