"""Builds every object, starts them in order and stops them; nothing else constructs parts."""

from relay.app.errors import PartEndedError, StartError
from relay.app.log import json_log
from relay.app.starting import App

__all__ = ["App", "PartEndedError", "StartError", "json_log"]
