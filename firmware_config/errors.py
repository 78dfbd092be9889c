"""One base class per party at fault; every error carries the facts and says what to do."""


class LatchkeyError(Exception):
    """Base of all errors that Latchkey raises on purpose. `str(error)` is a sentence for a person."""


class BadInput(LatchkeyError):
    """What was handed in is wrong: a photo, a file, a message, a setting. Nothing was changed."""


class BadState(LatchkeyError):
    """What we keep is not usable: a corrupt store, a missing model, a foreign key. Nothing is guessed."""


class DiskFault(BadState):
    """What we keep cannot be read or written just now: disk full, read-only, permission lost. It may later."""


class LostLink(LatchkeyError):
    """The other side did not answer: broker, lock, camera. It may later."""


def os_sentence(error: OSError) -> str:
    """What the system would not do, as a sentence that begins with the file where there is one."""
    why = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {why}." if error.filename else f"{why}."
