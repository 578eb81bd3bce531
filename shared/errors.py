"""Lethe's errors: Unreachable waits, any other TransientError is tried again, another LetheError fails the deletion."""


class LetheError(Exception):
    """The deletion cannot go on."""

    @property
    def title(self) -> str:
        """The sentence a client reads: the message, else the first line of the class's docstring."""
        return str(self) or (type(self).__doc__ or "").strip().splitlines()[0]


class TransientError(LetheError):
    """Something failed that may work when it is tried again."""

    # First pause before the next try. With one, the step is not retried in place: its worker is free meanwhile.
    first_pause_seconds: float | None = None


class TookTooLong(TransientError):
    """A statement ran out of its time."""


class Unreachable(TransientError):
    """A store or gateway could not be reached. This does not count as a failure of the step."""

    def __init__(self, what: str, why: object = "") -> None:
        super().__init__(f"{what} cannot be reached" + (f": {why}" if why else ""))


class RefusesForNow(Unreachable):
    """A server answers, and refuses for now: it is full, read-only or starting, or something is locked."""

    def __init__(self, sentence: str) -> None:
        LetheError.__init__(self, sentence)


class NotYet(Unreachable):
    """A condition is not met yet. This does not count as a failure of the step."""

    def __init__(self, sentence: str, first_pause_seconds: float | None = None, *, is_exact: bool = False) -> None:
        LetheError.__init__(self, sentence)
        self.first_pause_seconds = first_pause_seconds
        self.is_exact = is_exact  # before the end of the pause it is not met for certain


class Refused(LetheError):
    """The deployment is in a state in which erasing would not be safe."""


class RequirementNotMet(Refused):
    """Evolution's deployment lacks something that a deletion needs."""

    def __init__(self, problem: str, remedy: str, section: str) -> None:
        super().__init__(f"{problem}: {remedy} (docs/requirements.md#{section})")


class RefusedByServer(Refused):
    """A server or file system refuses what a deletion needs, and would refuse it again."""


class NotThere(RefusedByServer):
    """A table or column is not there; in Evolution's database it may have been a moment ago."""


class RightsLost(LetheError):
    """The requester does not have the permission for this deletion any more."""


class ConnectedAgain(RightsLost):
    """The instance is connected again, and its deletion was ordered only for as long as it is not."""


class LostClaim(LetheError):
    """This worker no longer owns the deletion."""
