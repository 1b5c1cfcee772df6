"""The files of deploy/ are what their tools take; the relay they start is configured, closed and heard."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from relay.cli import main
from relay.config import load, settings_given
from tests.house.deployed import (
    COMPOSE,
    COMPOSE_FILE,
    CONTAINER,
    DATABASE_FILE,
    DEPLOY,
    DOCKERFILE,
    KUBERNETES,
    KUBERNETES_FILE,
    POD,
    ROOT,
    SERVICE,
    TOML_FILE,
    UNIT_FILE,
    Given,
    by_compose,
    by_kubernetes,
    by_systemd,
    image_variables,
    unit,
)
from tests.settings import SOCKET_MODE

README = (ROOT / "README.md").read_text(encoding="utf-8")
WAYS: dict[str, Callable[[], Given]] = {
    "compose": by_compose,
    "systemd": by_systemd,
    "kubernetes": by_kubernetes,
}
SECRETS = {"SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "LETTA_API_KEY", "RELAY_AUDIT_KEY"}
SECRET_WORDS = {**SOCKET_MODE, "RELAY_AUDIT_KEY": "0123456789abcdef0123456789abcdef"}
HTTP_PORT = int(re.findall(r"^EXPOSE (\d+)$", DOCKERFILE, re.MULTILINE)[-1])
METRICS_PORT: int = tomllib.loads(TOML_FILE.read_text(encoding="utf-8"))["metrics"]["port"]
VOLUME = re.findall(r"^VOLUME (\S+)$", DOCKERFILE, re.MULTILINE)[-1]
KUBERNETES_VERSIONS = ("1.29", "1.37")
# Where there is no systemd at all nothing is missing: the unit is for no such machine.
needs_systemd = pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's alone")


@pytest.fixture(params=WAYS)
def given(request: pytest.FixtureRequest) -> Given:
    """What each file in turn gives a relay."""
    return WAYS[request.param]()


def said_by(*command: str | Path) -> tuple[int, str]:
    """Run a linter; return its exit status and all it says."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return ended.returncode, ended.stdout + ended.stderr


def said_of_compose(path: Path) -> tuple[int, str]:
    schema = ("--builtin-schema", "vendor.compose-spec")
    return said_by(sys.executable, "-m", "check_jsonschema", *schema, path)


def said_of_kubernetes(path: Path, version: str = KUBERNETES_VERSIONS[-1]) -> tuple[int, str]:
    return said_by(sys.executable, "-m", "kubernetes_validate", "--strict", "-k", version, path)


def said_of_unit(folder: Path, text: str) -> tuple[int, str]:
    path = folder / "relay.service"
    path.write_text(text.replace("/opt/relay/bin/relay", sys.executable), encoding="utf-8")
    return said_by("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", path)


def test_hadolint_has_nothing_to_say_of_the_image() -> None:
    beside = str(Path(sys.executable).parent)
    linter = shutil.which("hadolint", path=beside) or shutil.which("hadolint")
    assert linter is not None
    assert said_by(linter, ROOT / "Dockerfile") == (0, "")


@pytest.mark.parametrize("path", [COMPOSE_FILE, DATABASE_FILE])
def test_compose_takes_its_files(path: Path) -> None:
    status, said = said_of_compose(path)
    assert status == 0, said


def test_with_the_second_one_the_relay_has_its_store_in_the_database_of_that(tmp_path: Path) -> None:
    added = yaml.safe_load(DATABASE_FILE.read_text(encoding="utf-8"))
    relay, database = added["services"]["relay"], added["services"]["database"]
    given = by_compose()
    variables = {**given.variables, **relay["environment"]}
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name in SECRETS:
        (secrets / name.lower()).write_text(SECRET_WORDS[name], encoding="utf-8")
    user, name = (database["environment"][one] for one in ("POSTGRES_USER", "POSTGRES_DB"))
    url = f"postgresql://{user}:hunter22@database/{name}"
    (secrets / "relay_store_url").write_text(url, encoding="utf-8")
    inside = {one: text.replace("/run/secrets", str(secrets)) for one, text in variables.items()}
    file = tmp_path / "relay.toml"
    [text] = given.texts.values()
    file.write_text(text, encoding="utf-8")
    assert load({**inside, "RELAY_CONFIG": str(file)}, tmp_path).store_url == url
    assert {*relay["depends_on"]} <= {*added["services"]}
    assert {*relay["secrets"], *database["secrets"]} == {*added["secrets"]}


def test_a_misspelt_key_is_none_that_compose_takes(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(COMPOSE_FILE.read_text(encoding="utf-8").replace("read_only", "readonly"))
    assert said_of_compose(wrong)[0] == 1


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_kubernetes_takes_each_of_its_objects(version: str) -> None:
    status, said = said_of_kubernetes(KUBERNETES_FILE, version)
    assert (status, said.count(" passed for resource ")) == (0, len(KUBERNETES)), said
    assert len(said.splitlines()) == len(KUBERNETES) == 5, said


def test_a_misspelt_key_is_none_that_kubernetes_takes(tmp_path: Path) -> None:
    wrong = tmp_path / "relay.yaml"
    text = KUBERNETES_FILE.read_text(encoding="utf-8")
    wrong.write_text(text.replace("readOnlyRootFilesystem", "readOnlyRootFileSystem"), encoding="utf-8")
    assert said_of_kubernetes(wrong)[0] == 1


@needs_systemd
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    assert said_of_unit(tmp_path, UNIT_FILE.read_text(encoding="utf-8")) == (0, "")


@needs_systemd
def test_a_misspelt_setting_is_none_that_systemd_takes(tmp_path: Path) -> None:
    text = UNIT_FILE.read_text(encoding="utf-8").replace("NoNewPrivileges", "NoNewPrivilege")
    assert "'NoNewPrivilege'" in said_of_unit(tmp_path, text)[1]


@needs_systemd
def test_systemd_finds_little_that_the_unit_leaves_open() -> None:
    status, said = said_by("systemd-analyze", "security", "--offline=true", "--threshold=20", UNIT_FILE)
    assert status == 0, said


def test_every_variable_is_a_setting(given: Given) -> None:
    # One in a comment too: it is what somebody takes next.
    files = (COMPOSE_FILE, UNIT_FILE, KUBERNETES_FILE)
    written = "\n".join(path.read_text(encoding="utf-8") for path in files)
    named = {*given.variables, *re.findall(r"\b(?:SLACK|LETTA|RELAY)_[A-Z_]+\b", written)}
    assert set(settings_given(dict.fromkeys(named, "x"))) == named


def test_every_secret_comes_as_a_file_that_is_there(given: Given) -> None:
    assert SECRETS.isdisjoint(given.variables)
    assert {given.variables[f"{name}_FILE"] for name in SECRETS} == given.secrets
    for name in SECRETS:
        assert given.variables[f"{name}_FILE"].endswith(f"/{name.lower()}")


def test_relay_check_finds_the_settings_good(
    given: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in settings_given(os.environ):
        monkeypatch.delenv(name)
    for name, value in _laid_out(given, tmp_path):
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    status = main(["check"])
    ended = capsys.readouterr()
    assert (status, ended.err) == (0, "")
    assert "Slack: Socket Mode" in ended.out
    assert f"store: sqlite:///{VOLUME}/relay.db" in ended.out
    assert re.findall(r"^  (?:unused|warning): .*$", ended.out, re.MULTILINE) == []


def _laid_out(given: Given, folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the variables, with paths in a folder where the files are that they name."""
    for name, value in given.variables.items():
        text = given.texts.get(value)
        if value in given.secrets:
            text = SECRET_WORDS[name.removesuffix("_FILE")]
        if text is None:
            yield name, value
            continue
        place = folder / value.removeprefix("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text + "\n", encoding="utf-8")
        yield name, str(place)


def test_the_ports_are_those_that_relay_listens_on(given: Given, tmp_path: Path) -> None:
    config = load(dict(_laid_out(given, tmp_path)), tmp_path)
    assert (config.port, config.metrics.port) == (HTTP_PORT, METRICS_PORT)
    assert f"`127.0.0.1`, `{HTTP_PORT}`" in README
    assert f"http://127.0.0.1:{METRICS_PORT}/metrics" in README


@pytest.mark.parametrize("way", ["compose", "kubernetes"])
def test_what_listens_in_a_container_is_heard_outside_it(way: str) -> None:
    assert image_variables()["RELAY_HOST"] == "0.0.0.0"
    [text] = WAYS[way]().texts.values()
    assert tomllib.loads(text) == {"metrics": {"port": METRICS_PORT, "host": "0.0.0.0"}}


def test_compose_publishes_both_ports_on_the_loopback_alone() -> None:
    assert SERVICE["ports"] == [f"127.0.0.1:{port}:{port}" for port in (HTTP_PORT, METRICS_PORT)]


def test_compose_asks_for_health_as_the_image_does() -> None:
    [command] = re.findall(r"HEALTHCHECK .*?CMD \[(.*)\]", DOCKERFILE)
    own = SERVICE["healthcheck"]["test"][-1]
    for asked in (command, own):
        assert "urllib.request.urlopen('http://127.0.0.1:" in asked
        assert "/healthz'" in asked
    assert f":{HTTP_PORT}/" in own


def test_kubernetes_asks_the_port_that_relay_listens_on() -> None:
    named = {one["name"]: one["containerPort"] for one in CONTAINER["ports"]}
    assert named == {"http": HTTP_PORT, "metrics": METRICS_PORT}
    asked = {name: CONTAINER[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {name: one["path"] for name, one in asked.items()} == {
        "startup": "/healthz",
        "liveness": "/healthz",
        "readiness": "/readyz",
    }
    assert {one["port"] for one in asked.values()} == {"http"}
    assert [one["targetPort"] for one in KUBERNETES["Service"]["spec"]["ports"]] == ["http"]
    opened = [one["ports"] for one in KUBERNETES["NetworkPolicy"]["spec"]["ingress"]]
    assert [one["port"] for ports in opened for one in ports] == ["http", "metrics"]
    template = KUBERNETES["Deployment"]["spec"]["template"]["metadata"]
    assert template["annotations"]["prometheus.io/port"] == str(METRICS_PORT)


def test_every_selector_finds_the_relay() -> None:
    labels = KUBERNETES["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert KUBERNETES["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert KUBERNETES["Service"]["spec"]["selector"] == labels
    assert KUBERNETES["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels


def test_the_store_is_on_what_stays() -> None:
    assert SERVICE["volumes"] == [f"store:{VOLUME}"]
    assert "store" in COMPOSE["volumes"]
    assert {one["name"]: one["mountPath"] for one in CONTAINER["volumeMounts"]}["store"] == VOLUME
    claims = {one["name"]: one.get("persistentVolumeClaim") for one in POD["volumes"]}
    assert claims["store"] == {"claimName": KUBERNETES["PersistentVolumeClaim"]["metadata"]["name"]}
    assert f"/var/lib/{unit()['StateDirectory'][0]}" == VOLUME


def test_never_two_relays_write_one_store() -> None:
    spec = KUBERNETES["Deployment"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_the_links_of_a_service_are_no_settings() -> None:
    # Kubernetes would set RELAY_PORT=tcp://… for a Service named relay.
    assert KUBERNETES["Service"]["metadata"]["name"] == "relay"
    assert POD["enableServiceLinks"] is False


def test_the_user_is_the_images() -> None:
    [number] = re.findall(r"useradd .*--uid (\d+) ", DOCKERFILE)
    assert f"\nUSER {number}:{number}\n" in DOCKERFILE
    security = POD["securityContext"]
    assert {security[name] for name in ("runAsUser", "runAsGroup", "fsGroup")} == {int(number)}
    assert f"chown {number} deploy/secrets/*" in COMPOSE_FILE.read_text(encoding="utf-8")


def test_each_waits_for_the_relay_to_stop() -> None:
    limits = (
        SERVICE["stop_grace_period"].removesuffix("s"),
        unit()["TimeoutStopSec"][0],
        POD["terminationGracePeriodSeconds"],
    )
    assert all(int(limit) > 10 for limit in limits)


def test_each_takes_away_what_a_relay_does_not_need() -> None:
    assert SERVICE["read_only"] is True
    assert SERVICE["cap_drop"] == ["ALL"]
    assert SERVICE["security_opt"] == ["no-new-privileges:true"]
    closed = ("NoNewPrivileges", "DynamicUser", "ProtectHome")
    assert [unit()[name] for name in closed] == [["yes"]] * 3
    assert unit()["ProtectSystem"] == ["strict"]
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert POD["automountServiceAccountToken"] is False


def test_what_compose_mounts_read_only_is_a_file() -> None:
    # Compose writes anything else into the container, whose root file system is read-only.
    mounted = [*COMPOSE["configs"].values(), *COMPOSE["secrets"].values()]
    assert all(list(one) == ["file"] for one in mounted)
    assert "/deploy/secrets/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_the_readme_names_each_file_and_its_commands() -> None:
    [section] = re.findall(r"^### Deploying\n(.*?)^##", README, re.MULTILINE | re.DOTALL)
    for path in (COMPOSE_FILE, UNIT_FILE, KUBERNETES_FILE):
        assert str(path.relative_to(ROOT)) in section
    named = set(re.findall(r"(?<!exec )\bdeploy/[\w./]+", section))
    made = {"deploy/.env", "deploy/secrets", "deploy/secrets/"}  # by whoever deploys
    assert [path for path in named - made if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.y*ml")), ids=lambda path: path.name)
def test_every_file_of_yaml_parses(path: Path) -> None:
    assert list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
