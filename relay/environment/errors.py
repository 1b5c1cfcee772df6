"""Why an environment cannot be reached."""


class EnvironmentAwayError(Exception):
    """The device has no connection now; ask again later."""


class LookupRefusedError(Exception):
    """The API will not tell, whenever it is asked; the message says what to do."""
