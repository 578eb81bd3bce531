"""What can go wrong: a TransientError is tried again, any other LetheError fails the deletion."""


class LetheError(Exception):
    """The deletion cannot go on."""

    @property
    def title(self) -> str:
        """The sentence a client reads: the message, else the first line of the class's docstring."""
        return str(self) or (type(self).__doc__ or "").strip().splitlines()[0]


class TransientError(LetheError):
    """Something failed that may work when it is tried again."""

    # When to look again at first. A step that says it is not tried again on the spot: its worker is free meanwhile.
    first_pause_seconds: float | None = None


class Unreachable(TransientError):
    """A store or gateway could not be reached; waiting for it uses nothing up."""

    def __init__(self, what: str, why: object = "") -> None:
        super().__init__(f"{what} cannot be reached" + (f": {why}" if why else ""))


class NotYet(Unreachable):
    """Something is not as it has to be, and may be later; waiting for it uses nothing up."""

    def __init__(self, sentence: str, first_pause_seconds: float | None = None) -> None:
        LetheError.__init__(self, sentence)
        self.first_pause_seconds = first_pause_seconds


class Refused(LetheError):
    """The deployment is in a state in which erasing would not be safe."""


class RequirementNotMet(Refused):
    """Evolution's deployment lacks something that a deletion needs."""

    def __init__(self, problem: str, remedy: str, section: str) -> None:
        super().__init__(f"{problem}: {remedy} (docs/requirements.md#{section})")


class RightsLost(LetheError):
    """Whoever asked for the deletion may not have it any more."""


class LostClaim(LetheError):
    """Another worker owns this deletion now."""
