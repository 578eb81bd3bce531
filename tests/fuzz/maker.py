"""Makes requests up: names, headers and bodies that nobody sends on purpose, and marked secrets among them."""

import json
import random
from dataclasses import dataclass, field
from urllib.parse import quote
from uuid import UUID

ODD_METHODS = ("GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS", "BREW", "delete")
NAMES = (
    "", ".", "..", "../../etc/passwd", "%", "%2", "%00", "%ff", "%C3%28", "a?", "a#b", "a/b", "a//b", "a\\b", "a;b",
    "*", "[a-z]", "a:b", " ", " a ", "'; DROP TABLE \"Instance\"; --", "${jndi:ldap://x}", "{{7*7}}", "<script>",
    "fox 🦊", "\ud83e", "\u202eevil", "x" * 255, "x" * 9000,
    "lethe:00000000-0000-0000-0000-000000000000", "%0d%0aSet-Cookie:x=y",
)  # fmt: skip
CALLS = (
    "DELETE /instance/delete/{name}", "DELETE /instance/delete/{name}", "DELETE /instance/logout/{name}",
    "POST /deletions", "POST /deletions", "GET /deletions?{query}", "GET /deletions/{id}", "POST /deletions/{id}/retry",
    "POST /deletions/{id}/cancel", "GET /deletions/{id}/receipt?{query}", "GET /audit?{query}", "GET /health/live",
    "GET /health/ready", "GET /metrics", "GET /openapi.json", "GET /docs", "GET /docs/{name}", "GET /console/{name}",
    "GET /.well-known/lethe-keys.json", "GET /{name}", "DELETE //{name}",
)  # fmt: skip
FIELDS = (
    "status", "limit", "cursor", "since", "until", "action", "decision", "keyId", "deletionId", "instanceId", "format",
)  # fmt: skip
HEADERS = (
    "Prefer", "X-Confirmation-Token", "X-Confirmation-Code", "User-Agent", "X-Forwarded-For", "X-Request-Id", "Cookie",
    "Authorization", "traceparent", "Accept", "Range", "If-None-Match", "Content-Encoding", "X-HTTP-Method-Override",
)  # fmt: skip
VALUES = (
    "", "wait=0", "respond-async", "wait=999999999999", "wait=-1", "bytes=0-1", "gzip", "00-x-y-01", "127.0.0.1", "\t",
    "a, b; c=\"d", "x" * 8000, "\xff\xfe", "'\"<>", "${x}", "1e309", "-1", "0", "NaN", "2026-11-25T08:00:00Z", "failed",
)  # fmt: skip
CONTENT_TYPES = ("application/json", "application/json; charset=utf-7", "text/plain", "multipart/form-data", "")
JSON_VALUES = (None, True, 0, -1, 1e300, 10**40, "", "x", [], {}, ["x"], {"x": {}}, "\x00", "fox 🦊")


@dataclass(frozen=True)
class Request:
    """One request, as it goes out."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)


@dataclass
class Maker:
    """Makes requests of one seed; marked with a word that may be in answers to its sender, and in no log."""

    chance: random.Random
    keys: tuple[str, ...]  # some that open something, some that do not
    ids: tuple[UUID, ...]
    mark: str

    def make(self) -> Request:
        """The next one."""
        pick = self.chance.choice
        method, path = pick(CALLS).split(" ", 1)
        if self.chance.random() < 0.1:
            method = pick(ODD_METHODS)
        path = path.format(name=self._name(), id=pick((*self.ids, UUID(int=0), "x", "%00")), query=self._query())
        body = self._body() if method == "POST" or self.chance.random() < 0.1 else b""
        headers = [("apikey", self._key()), *((pick(HEADERS), self._value()) for _ in range(self.chance.randrange(4)))]
        if body:
            headers += [("Content-Type", pick(CONTENT_TYPES)), ("Content-Length", str(len(body)))]
        sendable = [(name, value.encode("utf-8", "replace").decode("latin-1")) for name, value in headers]
        target = path.encode("utf-8", "replace").decode("latin-1")
        return Request(method, target, tuple(sendable), body)

    def _key(self) -> str:
        return self.chance.choice((*self.keys * 3, f"{self.mark}-key", ""))

    def _name(self) -> str:
        name = f"{self.chance.choice(NAMES)}{self.mark}" if self.chance.random() < 0.5 else self.chance.choice(NAMES)
        return quote(name, errors="replace") if self.chance.random() < 0.7 else name

    def _value(self) -> str:
        return self.chance.choice((*VALUES, f"{self.mark}-value", f"{self.mark}\x00"))

    def _query(self) -> str:
        pairs = (
            (self.chance.choice(FIELDS), quote(self._value(), errors="replace"))
            for _ in range(self.chance.randrange(4))
        )
        return "&".join(f"{name}={value}" for name, value in pairs)

    def _body(self) -> bytes:
        values = (*JSON_VALUES, f"{self.mark}-text")
        names = ("instanceName", "instanceId", "dryRun", "withoutGateway", "confirmationToken", "more")
        made = {name: self.chance.choice(values) for name in self.chance.sample(names, self.chance.randrange(4))}
        sent = json.dumps(self.chance.choice((made, made, made, list(made), "x"))).encode()
        kind = self.chance.randrange(10)
        if kind == 0:
            return sent[: len(sent) // 2] or b"{"
        if kind == 1:
            return self.chance.randbytes(200)
        if kind == 2:
            return b"[" * self.chance.choice((100, 30_000, 70_000))
        return sent
