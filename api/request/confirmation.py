"""Whether whoever orders a deletion over HTTP has confirmed it: with the token of a preview, or a one-time code."""

from collections.abc import Mapping
from hashlib import sha256

import rfc8785
from flask import g, request
from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

from api.request import auth, current
from api.request.errors import Unconfirmed
from shared.access import one_time_codes
from shared.access.api_keys import BOOTSTRAP
from shared.access.confirmation import Confirmation
from shared.access.one_time_codes import CodeResult
from shared.database.enums import ConfirmationMethod, Role
from shared.evolution.rows.tenant import Instance
from shared.settings import ConfirmationMode, Settings

TOKEN_SECONDS = 300
_WRONG, _LOCKED = "wrong confirmation", "confirmation locked"  # as the audit has it
_HOW_TO_GET_A_TOKEN = (
    'ask for a preview, POST /deletions with "dryRun": true, look at what would go, and send its confirmationToken'
    f" as X-Confirmation-Token, with the same key and within {TOKEN_SECONDS // 60} minutes"
)
_HOW_TO_GET_CODES = (
    "deletions are confirmed with one-time codes here, and this key has none. `lethe keys enroll-totp ID` on the server"
    " enrolls an API key; the admin key of the settings and instances' tokens cannot be"
)


def of_call(instance: Instance) -> Confirmation | None:
    """The confirmation of this request; raises when one is demanded and this is none."""
    headers = request.headers.get("X-Confirmation-Token"), request.headers.get("X-Confirmation-Code")
    return demand(instance, *g.get("confirmation", headers))


def came_with(token: str | None, code: str | None) -> None:
    """This request is a form of the console: its confirmation is in these fields, and not in headers."""
    g.confirmation = token, code


def demand(instance: Instance, token: str | None, code: str | None) -> Confirmation | None:
    """What the settings ask for, of the two; None when they ask for nothing. A code that is good is used up."""
    demanded = current.services().settings.confirmation
    if demanded is ConfirmationMode.TOKEN:
        return _by_token(instance, token)
    return _by_code(code) if demanded is ConfirmationMode.TOTP else None


def token_for(instance: Instance, planned: Mapping[str, Mapping[str, int]]) -> str:
    """Lets the caller, and nobody else, delete this instance within the next minutes."""
    shown = {"instanceId": instance.id, "instanceName": instance.name, "planned": planned}
    return issue(current.services().settings, auth.principal().key_hash, instance.id, digest_of(shown))


def digest_of(preview: Mapping[str, object]) -> str:
    """SHA-256 of a preview's canonical JSON (RFC 8785)."""
    return sha256(rfc8785.dumps(dict(preview))).hexdigest()  # type: ignore[arg-type]


def issue(settings: Settings, key_hash: str, instance_id: str, digest: str) -> str:
    """A token for the holder of a key and an instance; it carries the digest of what was shown."""
    return str(_signer(settings, key_hash, instance_id).dumps(digest))


def read(settings: Settings, key_hash: str, instance_id: str, token: str) -> str:
    """The digest in a token; raises Unconfirmed for another key's or instance's, and for an old one."""
    try:
        return str(_signer(settings, key_hash, instance_id).loads(token, max_age=TOKEN_SECONDS))
    except SignatureExpired:
        raise Unconfirmed(f"The confirmation token is too old: {_HOW_TO_GET_A_TOKEN}", _WRONG) from None
    except BadSignature:
        raise Unconfirmed(
            f"The confirmation token is not one for this key and instance: {_HOW_TO_GET_A_TOKEN}", _WRONG
        ) from None


def _signer(settings: Settings, key_hash: str, instance_id: str) -> URLSafeTimedSerializer:
    # Key and instance are in the salt: a token says neither, and fits no other.
    return URLSafeTimedSerializer(
        settings.secret_key.get_secret_value(),
        salt=f"confirmation:{key_hash}:{instance_id}",
        signer_kwargs={"key_derivation": "hmac", "digest_method": sha256},
    )


def _by_token(instance: Instance, token: str | None) -> Confirmation:
    if not token:
        raise Unconfirmed(f"This has to be confirmed: {_HOW_TO_GET_A_TOKEN}")
    caller = auth.principal()
    # What is there now is not compared with what was shown: of a living instance it changes by the minute.
    digest = read(current.services().settings, caller.key_hash, instance.id, token)
    return Confirmation(caller.key_id, ConfirmationMethod.TOKEN, digest)


def _by_code(code: str | None) -> Confirmation:
    services, caller = current.services(), auth.principal()
    key_id = caller.key_id
    if key_id == BOOTSTRAP or caller.role is Role.INSTANCE:
        raise Unconfirmed(f"This cannot be confirmed: {_HOW_TO_GET_CODES}")
    if not code:
        raise Unconfirmed(
            "This has to be confirmed: send the one-time code of this key as X-Confirmation-Code; a key without codes"
            " gets them on the server, with `lethe keys enroll-totp ID`"
        )
    verdict = one_time_codes.use(services.own, services.settings, key_id, code)
    if verdict is CodeResult.NOT_ENROLLED:
        raise Unconfirmed(f"This cannot be confirmed: {_HOW_TO_GET_CODES}")
    if verdict is CodeResult.LOCKED:
        seconds = services.settings.code_lock_seconds
        raise Unconfirmed(f"Too many wrong codes: this key confirms nothing for up to {seconds:g} s", _LOCKED)
    if verdict is CodeResult.USED:
        raise Unconfirmed("The one-time code was used already: wait for the next one", _WRONG)
    if verdict is CodeResult.WRONG:
        raise Unconfirmed("The one-time code is wrong", _WRONG)
    return Confirmation(key_id, ConfirmationMethod.CODE)
