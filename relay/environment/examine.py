"""Asks, before anybody depends on it, whether an environment can be reached and would ask people."""

from typing import Any

import httpx

from relay.config import Environment
from relay.domain.findings import Finding, good, warning, wrong
from relay.environment.directory import TOO_OLD, Connection, Directory
from relay.environment.errors import EnvironmentAwayError, LookupRefusedError

_START = "Start `letta server` on its device, or correct the device that the configuration names."
_FIXES = {
    TOO_OLD: "Update Letta Code on the device.",
    "the environments API cannot be reached": "Check the network and LETTA_BASE_URL.",
    "the environments API answered 404": "Correct the device that the configuration names.",
    "the environments API answered": "Check LETTA_BASE_URL, and try it again.",
    "the App Server": "Start `letta server --listen`, or correct LETTA_BASE_URL.",
}
_UPDATE = "Update Letta Code on the device, if no message arrives."
_MODE = "Start the device in a permission mode that asks, or nobody gets a card."


async def examined(client: httpx.AsyncClient, environment: Environment) -> list[Finding]:
    """Return everything that is wrong with an environment, or that all is well."""
    about = f"environment {environment.name}"
    warned: dict[str, dict[str, Any]] = {}
    directory = Directory(client, lambda action, **facts: warned.setdefault(action, facts))
    try:
        connection = await directory.found(environment)
        # As messages find their way: which of several, whether it is online, and not too old.
        await directory.connection_id(environment)
    except LookupRefusedError as problem:
        found, _, fix = str(problem).partition(": ")
        return [wrong(about, found, f"{fix[:1].upper()}{fix[1:]}.")]
    except EnvironmentAwayError as problem:
        return [wrong(about, f"offline: {problem}", _fix(str(problem)))]
    findings = [good(about, _described(environment, connection))]
    if too_old := warned.get("environment.too_old"):
        findings.append(warning(about, too_old["reason"].partition(":")[0], _UPDATE))
    if never := warned.get("environment.never_asks"):
        findings.append(warning(about, f"in the mode {never['mode']} it runs every tool unasked", _MODE))
    return findings


def _fix(problem: str) -> str:
    return next((fix for begin, fix in _FIXES.items() if problem.startswith(begin)), _START)


def _described(environment: Environment, connection: Connection) -> str:
    if environment.is_app_server:
        return f"the App Server at {environment.base_url} answers"
    device = connection.device_id or environment.device_id or "device unknown"
    return f"online, {device}, mode {connection.mode or 'not told'}; the key is accepted"
