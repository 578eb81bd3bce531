"""URLs of PostgreSQL with the parameters of Prisma, which Evolution uses, as libpq understands them."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import PurePosixPath
from urllib.parse import parse_qsl, quote, urlencode

SCHEMES = ("postgresql", "postgres")
# libpq's own, but for those that Lethe sets for every connection: application_name, connect_timeout, client_encoding.
_LIBPQ = frozenset(
    """
    host hostaddr port dbname user password passfile require_auth channel_binding options sslmode requiressl
    sslnegotiation sslcompression sslcert sslkey sslpassword sslcertmode sslrootcert sslcrl sslcrldir sslsni
    requirepeer ssl_min_protocol_version ssl_max_protocol_version krbsrvname gssencmode gsslib gssdelegation service
    target_session_attrs load_balance_hosts keepalives keepalives_idle keepalives_interval keepalives_count
    tcp_user_timeout fallback_application_name
    """.split()  # noqa: SIM905 - a list of quoted words would be longer
)
_TLS = ("sslmode", "sslrootcert", "sslcert", "sslkey", "sslaccept", "sslidentity", "sslpassword")
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_STRICT, _ANY_CERTIFICATE = "strict", "accept_invalid_certs"
_URL = re.compile(r"(?P<start>[^:/?#]+://)(?P<authority>[^/?#]*)(?P<rest>.*)", re.DOTALL)
_TRUE = ("true", "1")
_MYSQL = "this is MySQL: Lethe erases from Evolution's PostgreSQL only"
_PROXY = "this is the address of Prisma's proxy: write the database's own, postgresql://user:password@host:5432/name"
_NOT_OF_A_SERVER = {
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "prisma": _PROXY,
    "prisma+postgres": _PROXY,
}


@dataclass(frozen=True)
class PostgresUrl:
    """A URL for libpq, the schema that Prisma's URL named, and the parameters that were left out."""

    url: str
    schema: str | None = None
    left_out: tuple[str, ...] = ()


def translate(url: str) -> PostgresUrl:
    """The URL for libpq. ValueError says what cannot work, and what to write instead."""
    scheme = url.partition("://")[0].lower()
    if scheme in _NOT_OF_A_SERVER:
        raise ValueError(_NOT_OF_A_SERVER[scheme])
    if scheme not in SCHEMES:
        return PostgresUrl(url)  # refused elsewhere
    base, mark, query = _split(_with_encoded_login(url))
    if not mark:
        return PostgresUrl(base)
    given = dict(parse_qsl(query, keep_blank_values=True))
    known, left_out = _known(given)
    schema = given.get("schema") or None
    if known == given:
        return PostgresUrl(f"{base}?{query}")
    return PostgresUrl(f"{base}?{urlencode(known, quote_via=quote, safe='/')}" if known else base, schema, left_out)


def _with_encoded_login(url: str) -> str:
    """The URL with @ in its password encoded: Prisma takes the last one for the end of the password."""
    found = _URL.fullmatch(url)
    if found is None or found["authority"].count("@") < 2:
        return url
    login, _, host = found["authority"].rpartition("@")
    return f"{found['start']}{login.replace('@', '%40')}@{host}{found['rest']}"


def _split(url: str) -> tuple[str, str, str]:
    """The URL, ? and its query. A password may contain a question mark."""
    head, mark, query = url.partition("?")
    login, at, rest = query.partition("@")
    if at and "@" not in head and "=" not in login:
        more, mark, query = rest.partition("?")
        return f"{head}?{login}@{more}", mark, query
    return head, mark, query


def _known(given: dict[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """What libpq understands of these parameters, and the names of the others."""
    _refuse_what_cannot_work(given)
    known = {name: value for name, value in given.items() if name in _LIBPQ and value}
    known |= _tls(given)
    if not _is_libpqs_certificate(given):  # Prisma's sslcert is the root certificate, sslpassword is sslidentity's
        known.pop("sslcert", None)
        known.pop("sslpassword", None)
    taken = {*known, "schema", "sslaccept", "ssl"} | ({"sslcert"} if "sslrootcert" in known else set())
    return known, tuple(name for name in given if name not in taken)


def _tls(given: dict[str, str]) -> dict[str, str]:
    mode = given.get("sslmode") or ("require" if given.get("ssl", "").lower() in _TRUE else "")
    mode = {"no-verify": "require"}.get(mode, mode)
    tls = {"sslmode": mode} if mode else {}
    root = "" if _is_libpqs_certificate(given) else given.get("sslcert", "")
    if mode == "disable" or given.get("sslaccept") == _ANY_CERTIFICATE:
        return tls
    if given.get("sslaccept") == _STRICT:
        return {"sslmode": "verify-full", "sslrootcert": given.get("sslrootcert") or root or "system"}
    return tls | ({"sslrootcert": root} if root else {})


def _is_libpqs_certificate(given: dict[str, str]) -> bool:
    """Whether sslcert is the client's certificate, as libpq has it: its key or the root certificate is named too."""
    return "sslkey" in given or "sslrootcert" in given


def _refuse_what_cannot_work(given: dict[str, str]) -> None:
    for name in given:
        if name not in _LIBPQ and (near := get_close_matches(name, _TLS, 1, 0.85)) and name not in _TLS:
            raise ValueError(f"there is no parameter {name}: is it {near[0]}?")
    if "sslidentity" in given:
        raise ValueError(
            "sslidentity is a PKCS#12 file, which PostgreSQL's library cannot read: let `openssl pkcs12` make PEM files"
            " of it, and write sslcert=, sslkey= and sslrootcert= with their paths instead"
        )
    mode = given.get("sslmode", "")
    if mode and mode not in (*_SSL_MODES, "no-verify"):
        raise ValueError(f"sslmode is none of {', '.join(_SSL_MODES)}")
    accept = given.get("sslaccept", "")
    if accept not in ("", _STRICT, _ANY_CERTIFICATE):
        raise ValueError(f"sslaccept is neither {_STRICT} nor {_ANY_CERTIFICATE}")
    certificate = given.get("sslcert", "")
    if certificate and not _is_libpqs_certificate(given) and not PurePosixPath(certificate).is_absolute():
        raise ValueError("sslcert is relative to Evolution's folder: write the absolute path that Lethe sees")
