"""Checks the confirmation of a deletion over HTTP: the token of a preview, or a one-time code."""

import secrets
from collections.abc import Mapping
from hashlib import sha256

import rfc8785
from flask import g, request
from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer
from sqlalchemy import Connection

from api.request import auth, resources
from api.request.errors import Unconfirmed
from shared.access import one_time_codes
from shared.access.api_keys import BOOTSTRAP, EVOLUTION
from shared.access.confirmation import Confirmation, use_token
from shared.access.one_time_codes import CodeResult
from shared.database.enums import ConfirmationMethod, Role
from shared.evolution.rows.tenant import Instance
from shared.settings import ConfirmationMode, Settings

TOKEN_SECONDS = 300
_WRONG, _LOCKED = "wrong confirmation", "confirmation locked"  # reasons in the audit
_HOW_TO_GET_A_TOKEN = (
    'ask for a preview, POST /deletions with "dryRun": true, look at what would go, and send its confirmationToken'
    f" as X-Confirmation-Token, with the same key and within {TOKEN_SECONDS // 60} minutes"
)
_USED_CODE = "The one-time code was already used: wait for the next one"
_HOW_TO_GET_CODES = (
    "deletions are confirmed with one-time codes here, and this key has none. `lethe keys enroll-totp ID` on the server"
    " enrolls an API key; the admin key of the settings and instances' tokens cannot be"
)


def of_request(instance: Instance) -> Confirmation | None:
    """The confirmation that the settings require; None when they require none. What accepts the deletion uses it up.

    Raises Unconfirmed when it is missing or wrong.
    """
    headers = request.headers.get("X-Confirmation-Token"), request.headers.get("X-Confirmation-Code")
    token, code = g.get("confirmation", headers)
    required = resources.services().settings.confirmation
    if required is ConfirmationMode.TOKEN:
        return _by_token(instance, token)
    return _by_code(code) if required is ConfirmationMode.TOTP else None


def read_from_form() -> None:
    """Take the confirmation of this request from the fields of the console's form, not from headers."""
    g.confirmation = request.form.get("confirmation_token"), request.form.get("confirmation_code")


def token_of_preview(instance: Instance, planned: Mapping[str, Mapping[str, int]]) -> str:
    """A token with which only this caller can confirm the deletion of this instance, for TOKEN_SECONDS."""
    shown = {"instanceId": instance.id, "instanceName": instance.name, "planned": planned}
    return sign_token(resources.services().settings, auth.principal().key_hash, instance, preview_digest(shown))


def preview_digest(preview: Mapping[str, object]) -> str:
    """SHA-256 of a preview's canonical JSON (RFC 8785)."""
    return sha256(rfc8785.dumps(dict(preview))).hexdigest()  # type: ignore[arg-type]


def sign_token(settings: Settings, key_hash: str, instance: Instance, digest: str) -> str:
    """A token for one API key, and one instance under one name; it contains the digest of the preview."""
    once = secrets.token_urlsafe(9)  # two previews in one second have different tokens, for each is used once
    return str(_signer(settings, key_hash, instance).dumps([digest, once]))


def read_token(settings: Settings, key_hash: str, instance: Instance, token: str) -> str:
    """The digest in a token; raises Unconfirmed for an expired token, another key, instance or name."""
    try:
        digest, _ = _signer(settings, key_hash, instance).loads(token, max_age=TOKEN_SECONDS)
    except SignatureExpired:
        raise Unconfirmed(f"The confirmation token is too old: {_HOW_TO_GET_A_TOKEN}", _WRONG) from None
    except BadSignature:
        raise Unconfirmed(
            f"The confirmation token is not one for this key and instance: {_HOW_TO_GET_A_TOKEN}", _WRONG
        ) from None
    return str(digest)


def _signer(settings: Settings, key_hash: str, instance: Instance) -> URLSafeTimedSerializer:
    # Key, id and name are in the salt: the token does not contain them, and is valid for no others.
    return URLSafeTimedSerializer(
        settings.secret_key.get_secret_value(),
        salt=rfc8785.dumps(["confirmation", key_hash, instance.id, instance.name]),
        signer_kwargs={"key_derivation": "hmac", "digest_method": sha256},
    )


def _by_token(instance: Instance, token: str | None) -> Confirmation:
    if not token:
        raise Unconfirmed(f"This has to be confirmed: {_HOW_TO_GET_A_TOKEN}")
    caller = auth.principal()
    # The preview is not counted again: the numbers of a running instance change every minute.
    digest = read_token(resources.services().settings, caller.key_hash, instance, token)
    signed = token.rpartition(".")[0]  # the signature behind it has more than one spelling in base64

    def use(connection: Connection) -> None:
        if not use_token(connection, f"{caller.key_hash}.{instance.id}.{signed}", TOKEN_SECONDS):
            raise Unconfirmed(f"The confirmation token was already used: {_HOW_TO_GET_A_TOKEN}", _WRONG)

    return Confirmation(caller.key_id, ConfirmationMethod.TOKEN, digest, use)


def _by_code(code: str | None) -> Confirmation:
    services, caller = resources.services(), auth.principal()
    key_id = caller.key_id
    if key_id in (BOOTSTRAP, EVOLUTION) or caller.role is Role.INSTANCE:
        raise Unconfirmed(f"This cannot be confirmed: {_HOW_TO_GET_CODES}")
    if not code:
        raise Unconfirmed(
            "This has to be confirmed: send the one-time code of this key as X-Confirmation-Code; a key without codes"
            " gets them on the server, with `lethe keys enroll-totp ID`"
        )
    verdict, step = one_time_codes.check(services.own, services.settings, key_id, code)
    if verdict is CodeResult.NOT_ENROLLED:
        raise Unconfirmed(f"This cannot be confirmed: {_HOW_TO_GET_CODES}")
    if verdict is CodeResult.LOCKED:
        seconds = services.settings.code_lock_seconds
        raise Unconfirmed(f"Too many wrong codes: this key cannot confirm for up to {seconds:g} s", _LOCKED)
    if verdict is CodeResult.USED:
        raise Unconfirmed(_USED_CODE, _WRONG)
    if verdict is CodeResult.WRONG:
        raise Unconfirmed("The one-time code is wrong", _WRONG)

    def use(connection: Connection) -> None:
        if not one_time_codes.use(connection, key_id, step):
            raise Unconfirmed(_USED_CODE, _WRONG)

    return Confirmation(key_id, ConfirmationMethod.CODE, use=use)
