"""The failures that a user can cause and mend: reported as one line, never as a traceback."""


class UserError(Exception):
    """An expected failure. Its message says what was wrong, what was received and what to do."""


class DataError(UserError):
    """Data that is missing, damaged or does not fit the request."""
