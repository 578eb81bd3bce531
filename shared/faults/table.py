"""The table of servers' errors: what each code means, what a deletion does then, and what helps."""

from collections.abc import Iterator

from shared.faults import broker_rules
from shared.faults.kinds import Kind, Rule, Server

_PG, _REDIS, _S3, _FILES = Server.POSTGRESQL, Server.REDIS, Server.S3, Server.FILES
RULES = (
    Rule(_PG, ("08",), Kind.AWAY, "the connection is lost", "Start the server, or correct the URL."),
    Rule(
        _PG,
        ("53",),
        Kind.BUSY,
        "no disk space, memory or connections left",
        "Free space on the database's disk, or raise max_connections.",
    ),
    Rule(_PG, ("57P01", "57P02", "57P03", "57P04", "57P05"), Kind.AWAY, "the server stops or starts"),
    Rule(
        _PG,
        ("25006",),
        Kind.BUSY,
        "the server is read-only: a standby, or a primary that was set so",
        "Promote it, or let the URL lead to the primary.",
    ),
    Rule(
        _PG,
        ("55P03", "55006"),
        Kind.BUSY,
        "another session holds a lock",
        "Look for the session that holds it in pg_stat_activity and pg_locks.",
    ),
    Rule(_PG, ("40", "25P03"), Kind.TRIED_AGAIN, "a deadlock, or the transaction lost a race"),
    Rule(_PG, ("23503", "23001"), Kind.TRIED_AGAIN, "a row that was written meanwhile refers to this one"),
    Rule(
        _PG,
        ("57014",),
        Kind.SLOW,
        "the statement took too long",
        "Look at the database's load and for missing indexes: `lethe doctor`.",
    ),
    Rule(
        _PG,
        ("42P01", "42703"),
        Kind.READ_ANEW,
        "a table or column is not there",
        "Is LETHE_TENANT_SCHEMA right, and does Lethe know this version of Evolution? `lethe doctor` looks.",
        own="Run `lethe db upgrade`.",
    ),
    Rule(
        _PG,
        ("42501",),
        Kind.FAILS,
        "the role lacks a right, or row security refuses",
        "Grant it; `lethe doctor` prints the SQL.",
        own="Let the role of LETHE_DATABASE_URL own that database.",
    ),
    Rule(
        _PG,
        ("22",),
        Kind.FAILS,
        "a value does not fit a column's type",
        "A column has another type than Evolution's, or a trigger writes what does not fit.",
    ),
    Rule(
        _PG,
        ("23",),
        Kind.FAILS,
        "a constraint refuses",
        "Look at the constraint or the trigger that is named: an operator's one has to let Lethe's role pass.",
    ),
    Rule(
        _PG,
        ("42", "0A"),
        Kind.FAILS,
        "the server cannot carry the statement out",
        "Look at the table, trigger or rule that is named; is it Evolution's schema, and PostgreSQL 13 or newer?",
        own="Is it Lethe's own database, and PostgreSQL 13 or newer? `lethe db upgrade` makes its tables.",
    ),
    Rule(
        _PG,
        ("55000",),
        Kind.FAILS,
        "the table is in a state that forbids it, such as a publication without a replica identity",
        "ALTER TABLE ... REPLICA IDENTITY FULL, or take the table out of the publication.",
    ),
    Rule(_PG, ("XX",), Kind.FAILS, "the server found a defect in itself or its files", "See PostgreSQL's log."),
    Rule(
        _PG,
        ("P0",),
        Kind.TRIED_AGAIN,
        "a trigger's function refuses",
        "PostgreSQL's log has its words: disable the trigger, or let Lethe's role pass.",
    ),
    Rule(_PG, ("",), Kind.TRIED_AGAIN, "anything else"),
    Rule(_REDIS, ("AWAY",), Kind.AWAY, "no connection, or no answer in time", "Start the server, or correct the URL."),
    Rule(
        _REDIS,
        ("OOM",),
        Kind.BUSY,
        "its memory is full",
        "Raise maxmemory.",
        own="Raise maxmemory, and keep maxmemory-policy noeviction.",
    ),
    Rule(
        _REDIS,
        ("MISCONF",),
        Kind.BUSY,
        "it cannot save to its disk, and refuses writes",
        "Free space on its disk; Redis' log says what fails.",
    ),
    Rule(
        _REDIS,
        ("READONLY",),
        Kind.BUSY,
        "it is a replica",
        "Let the URL lead to the primary, or end the failover.",
    ),
    Rule(
        _REDIS,
        ("NOREPLICAS",),
        Kind.BUSY,
        "too few replicas follow",
        "Bring them back, or lower min-replicas-to-write.",
    ),
    Rule(
        _REDIS,
        ("LOADING", "MASTERDOWN", "CLUSTERDOWN", "BUSY"),
        Kind.BUSY,
        "it starts, waits for its primary, or runs a script",
    ),
    Rule(
        _REDIS,
        ("WRONGPASS", "NOAUTH"),
        Kind.FAILS,
        "it does not accept the user or password",
        "Correct LETHE_CACHE_URL.",
        own="Correct LETHE_REDIS_URL, or LETHE_BROKER_URL.",
    ),
    Rule(
        _REDIS,
        ("NOPERM",),
        Kind.FAILS,
        "the ACL forbids the command or the keys",
        "Let the user run what docs/requirements.md lists: ACL SETUSER.",
        own="Let the user run all commands on all keys: ACL SETUSER.",
    ),
    Rule(
        _REDIS,
        ("MOVED", "ASK", "CROSSSLOT"),
        Kind.FAILS,
        "it is a cluster, which Lethe does not speak to",
        "Use a Redis without cluster mode.",
    ),
    Rule(_REDIS, ("ERR", "WRONGTYPE"), Kind.FAILS, "it does not know the command, or cannot carry it out"),
    Rule(_REDIS, ("",), Kind.TRIED_AGAIN, "anything else"),
    Rule(
        _S3, ("AWAY",), Kind.AWAY, "no connection, or no answer in time", "Start the server, or correct the endpoint."
    ),
    Rule(
        _S3,
        ("SlowDown", "ServiceUnavailable", "503", "RequestTimeout", "RequestTimeTooSkewed", "502", "504"),
        Kind.BUSY,
        "the server is busy, or its clock is another",
    ),
    Rule(
        _S3,
        ("AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch", "AllAccessDisabled", "AccountProblem"),
        Kind.FAILS,
        "the key is not accepted, or lacks a right",
        "The key must list and delete objects and their versions: correct LETHE_S3_ACCESS_KEY or the policy.",
    ),
    Rule(
        _S3,
        ("NoSuchBucket", "404", "InvalidBucketName", "PermanentRedirect", "IllegalLocationConstraintException"),
        Kind.FAILS,
        "the bucket is not there",
        "Correct LETHE_S3_BUCKET, _ENDPOINT or _REGION.",
    ),
    Rule(
        _S3,
        ("NotImplemented", "MethodNotAllowed", "MalformedXML", "InvalidRequest", "InvalidArgument", "client"),
        Kind.FAILS,
        "the server does not know the call, or the settings make a wrong one",
        "Is LETHE_S3_ENDPOINT that of an S3 server, and LETHE_S3_REGION right?",
    ),
    Rule(_S3, ("",), Kind.TRIED_AGAIN, "anything else"),
    Rule(
        _FILES,
        ("EIO", "ESTALE", "ENOTCONN", "ETIMEDOUT", "EHOSTDOWN", "ENODEV"),
        Kind.AWAY,
        "the disk or its server is away",
        "Mount it again.",
    ),
    Rule(_FILES, ("ENOSPC", "EDQUOT"), Kind.BUSY, "the disk is full", "Free some space: a rename needs a little."),
    Rule(
        _FILES,
        ("EACCES", "EPERM", "EROFS"),
        Kind.FAILS,
        "the folder may not be written to",
        "Let Lethe's account write to it, and mount it writable.",
    ),
    Rule(_FILES, ("",), Kind.TRIED_AGAIN, "anything else"),
    *broker_rules.RULES,
)


def rule_of(server: Server, code: str) -> Rule:
    """The rule of a code: the longest beginning that fits; of other servers than PostgreSQL, the whole code."""
    return next(rule for known in _beginnings(server, code) for rule in RULES if _has(rule, server, known))


def _beginnings(server: Server, code: str) -> Iterator[str]:
    if server is Server.POSTGRESQL:
        yield from (code[:length] for length in range(len(code), 0, -1))
    else:
        yield code
    yield ""


def _has(rule: Rule, server: Server, code: str) -> bool:
    return rule.server is server and code in rule.codes
