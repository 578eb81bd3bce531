"""Keys that everyone can read in Evolution's published files, so that nothing may be deleted with them."""

KEYS = frozenset(
    {
        "429683C4C977415CAAFCCE10F7D57E11",  # .env.example of version 2
        "B6D711FCDE4D4FD5936544120E713976",  # of version 1
        "BQYHJGJHJ",  # the server's default, without AUTHENTICATION_API_KEY
        "mude-me",  # the documentation's: change me
        "change-me",
    }
)


def check(global_key: str, admin_key: str = "") -> None:
    """Raise ValueError for a global key that may not delete."""
    if global_key in KEYS:
        raise ValueError(
            "Evolution's global key (AUTHENTICATION_API_KEY) is the one of its published example, which everyone"
            " knows: set another in Evolution first"
        )
    if global_key == admin_key:
        raise ValueError("LETHE_ADMIN_KEY must not be Evolution's global key, for it may do everything")
