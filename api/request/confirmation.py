"""Checks the confirmation of a deletion over HTTP: the token of a preview, or a one-time code."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
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
_HOW_TO_SEE_A_LIST = (
    'ask for a preview, POST /deletions with the same instanceNames and "dryRun": true, look at what would go, and'
    " send its digest as `digest`"
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
    token, code = _given()
    required = resources.services().settings.confirmation
    if required is ConfirmationMode.TOKEN:
        return _by_token(_bound_to_instance(auth.principal().key_hash, instance), instance.id, token)
    return _by_code(code) if required is ConfirmationMode.TOTP else None


def of_list(digest: str, shown: str | None) -> Confirmation | None:
    """The same for a list of instances, by the digest of what it means now; shown is the digest that the caller sent.

    Raises Unconfirmed also when another list was shown, or when one of its names means another instance by now.
    """
    required = resources.services().settings.confirmation
    if shown is None and required is ConfirmationMode.TOTP:
        raise Unconfirmed(f"This has to be confirmed, with a one-time code and the list's digest: {_HOW_TO_SEE_A_LIST}")
    if shown not in (None, digest):
        raise Unconfirmed(
            f"This is not the list that was shown, or it means others by now: {_HOW_TO_SEE_A_LIST}", _WRONG
        )
    token, code = _given()
    if required is ConfirmationMode.TOKEN:
        return _by_token(_bound_to_list(auth.principal().key_hash, digest), digest, token)
    return replace(_by_code(code), preview=digest) if required is ConfirmationMode.TOTP else None


def _given() -> tuple[str | None, str | None]:
    headers = request.headers.get("X-Confirmation-Token"), request.headers.get("X-Confirmation-Code")
    given: tuple[str | None, str | None] = g.get("confirmation", headers)
    return given


def read_from_form() -> None:
    """Take the confirmation of this request from the fields of the console's form, not from headers."""
    g.confirmation = request.form.get("confirmation_token"), request.form.get("confirmation_code")


def token_of_preview(instance: Instance, planned: Mapping[str, Mapping[str, int]]) -> str:
    """A token with which only this caller can confirm the deletion of this instance, for TOKEN_SECONDS."""
    shown = {"instanceId": instance.id, "instanceName": instance.name, "planned": planned}
    return sign_token(resources.services().settings, auth.principal().key_hash, instance, preview_digest(shown))


def token_of_list(digest: str) -> str:
    """A token with which only this caller can confirm the deletion of all that the list means now, once."""
    settings, key_hash = resources.services().settings, auth.principal().key_hash
    return _sign(settings, _bound_to_list(key_hash, digest), digest)


def preview_digest(preview: Mapping[str, object]) -> str:
    """SHA-256 of a preview's canonical JSON (RFC 8785)."""
    return sha256(rfc8785.dumps(dict(preview))).hexdigest()  # type: ignore[arg-type]


def sign_token(settings: Settings, key_hash: str, instance: Instance, digest: str) -> str:
    """A token for one API key, and one instance under one name; it contains the digest of the preview."""
    return _sign(settings, _bound_to_instance(key_hash, instance), digest)


def read_token(settings: Settings, key_hash: str, instance: Instance, token: str) -> str:
    """The digest in a token; raises Unconfirmed for an expired token, another key, instance or name."""
    return _read(settings, _bound_to_instance(key_hash, instance), token)


def _bound_to_instance(key_hash: str, instance: Instance) -> list[str]:
    return ["confirmation", key_hash, instance.id, instance.name]


def _bound_to_list(key_hash: str, digest: str) -> list[str]:
    return ["confirmation of a list", key_hash, digest]


def _sign(settings: Settings, bound: list[str], digest: str) -> str:
    once = secrets.token_urlsafe(9)  # two previews in one second have different tokens, for each is used once
    return str(_signer(settings, bound).dumps([digest, once]))


def _read(settings: Settings, bound: list[str], token: str) -> str:
    try:
        digest, _ = _signer(settings, bound).loads(token, max_age=TOKEN_SECONDS)
    except SignatureExpired:
        raise Unconfirmed(f"The confirmation token is too old: {_HOW_TO_GET_A_TOKEN}", _WRONG) from None
    except BadSignature:
        if bound[0] == "confirmation":
            raise Unconfirmed(
                f"The confirmation token is not one for this key and instance: {_HOW_TO_GET_A_TOKEN}", _WRONG
            ) from None
        raise Unconfirmed(
            "The confirmation token is not one for this key and list, or the list means others by now:"
            f" {_HOW_TO_GET_A_TOKEN}",
            _WRONG,
        ) from None
    return str(digest)


def _signer(settings: Settings, bound: list[str]) -> URLSafeTimedSerializer:
    # Key, id and name (or the list's digest) are in the salt: the token does not contain them, and is valid for no
    # others.
    return URLSafeTimedSerializer(
        settings.secret_key.get_secret_value(),
        salt=rfc8785.dumps(bound),
        signer_kwargs={"key_derivation": "hmac", "digest_method": sha256},
    )


def _by_token(bound: list[str], subject: str, token: str | None) -> Confirmation:
    if not token:
        raise Unconfirmed(f"This has to be confirmed: {_HOW_TO_GET_A_TOKEN}")
    caller = auth.principal()
    # The preview is not counted again: the numbers of a running instance change every minute.
    digest = _read(resources.services().settings, bound, token)
    signed = token.rpartition(".")[0]  # the signature behind it has more than one spelling in base64

    def use(connection: Connection) -> None:
        if not use_token(connection, f"{caller.key_hash}.{subject}.{signed}", TOKEN_SECONDS):
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
