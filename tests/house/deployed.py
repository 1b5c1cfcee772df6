"""What each file of deploy/ gives a relay, read as Docker, systemd and Kubernetes read it."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE_FILE = DEPLOY / "compose.yaml"
DATABASE_FILE = DEPLOY / "compose.postgresql.yaml"  # given behind it
UNIT_FILE = DEPLOY / "systemd/relay.service"
KUBERNETES_FILE = DEPLOY / "kubernetes/relay.yaml"
TOML_FILE = DEPLOY / "relay.toml"

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8"))
SERVICE: dict[str, Any] = COMPOSE["services"]["relay"]
KUBERNETES: dict[str, Any] = {
    one["kind"]: one for one in yaml.safe_load_all(KUBERNETES_FILE.read_text(encoding="utf-8"))
}
POD: dict[str, Any] = KUBERNETES["Deployment"]["spec"]["template"]["spec"]
CONTAINER: dict[str, Any] = POD["containers"][0]

# What people fill in themselves, where a file leaves it to them.
FILLED_IN = {
    "LETTA_AGENT_ID": "agent-1",
    "LETTA_DEVICE_ID": "device-1",
    "RELAY_APPROVALS_CHANNEL": "C0APPROVALS",
}


@dataclass(frozen=True)
class Given:
    """The variables of a relay's process, the files in its sight by their paths, and its secrets'."""

    variables: dict[str, str]
    texts: dict[str, str]
    secrets: frozenset[str]


def unit() -> dict[str, list[str]]:
    """Return every setting of the unit with its values."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", UNIT_FILE.read_text(encoding="utf-8"), re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


def image_variables() -> dict[str, str]:
    """Return the settings that the image brings."""
    instruction = DOCKERFILE[DOCKERFILE.rindex("\nENV ") :].splitlines()[1]
    pairs = (one.partition("=") for one in shlex.split(instruction)[1:])
    return {name: value for name, _, value in pairs if name.startswith("RELAY_")}


def by_compose() -> Given:
    """Return what Compose gives."""
    filled = {
        name: re.sub(r"\$\{(\w+):[?-].*\}", lambda found: FILLED_IN.get(found[1], ""), value)
        for name, value in SERVICE["environment"].items()
    }
    [config] = SERVICE["configs"]
    text = (DEPLOY / COMPOSE["configs"][config["source"]]["file"]).read_text(encoding="utf-8")
    return Given(
        {**image_variables(), **filled},
        {config["target"]: text},
        frozenset(f"/run/secrets/{name}" for name in SERVICE["secrets"]),
    )


def by_systemd() -> Given:
    """Return what systemd gives, with the specifiers of the unit replaced."""
    settings = unit()
    variables = dict(one.split("=", 1) for one in settings["Environment"])
    return Given(
        {name: _specified(value) for name, value in variables.items()},
        {},
        frozenset(_specified(f"%d/{one.partition(':')[0]}") for one in settings["LoadCredential"]),
    )


def by_kubernetes() -> Given:
    """Return what Kubernetes gives; the Secret has a key for each file that Compose has."""
    mounts = {one["name"]: one["mountPath"] for one in CONTAINER["volumeMounts"]}
    texts = KUBERNETES["ConfigMap"]["data"]
    return Given(
        {**image_variables(), **{one["name"]: one["value"] for one in CONTAINER["env"]}},
        {f"{mounts['settings']}/{name}": text for name, text in texts.items()},
        frozenset(f"{mounts['secrets']}/{name}" for name in COMPOSE["secrets"]),
    )


def _specified(value: str) -> str:
    return value.replace("%d", "/run/credentials/relay.service").replace("%S", "/var/lib")
