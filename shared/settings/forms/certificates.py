"""Files of certificates."""

import ssl
from pathlib import Path


def check(file: Path) -> None:
    """Raise ValueError if it is missing, or has no certificate in PEM."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except ssl.SSLError as error:
        raise ValueError("the file is no PEM file of certificates") from error
    except OSError as error:
        raise ValueError("the file cannot be read") from error
