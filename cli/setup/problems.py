"""What keeps `lethe init` from going on."""


class Problem(Exception):
    """A sentence for the operator, without a secret."""
