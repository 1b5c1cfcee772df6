"""Why a relay does not run."""


class StartError(Exception):
    """The relay cannot start; the message says what to do."""


class PartEndedError(Exception):
    """A part that must run for ever has ended by a defect: stop, and be started again."""
