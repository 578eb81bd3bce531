"""The console's pages to sign in with an API key, and to sign out."""

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from api.console import session
from api.request import auditing, resources, wrong_keys
from shared.audit import chain
from shared.audit.entries import Action, Decision, Entry
from shared.database.connections import own_transaction

blueprint = Blueprint("sign_in", __name__)


@blueprint.get("/sign-in")
def show_form() -> Response:
    """The form."""
    return _form()


@blueprint.post("/sign-in")
def sign_in() -> AnyResponse:
    """Begin a session if the key is valid."""
    signed_in = session.begin(request.form.get("key", ""))
    if signed_in is None:
        wrong_keys.count()
        return _form(wrong=True)
    with own_transaction(resources.services().own) as connection:
        chain.append(connection, Entry(Action.SIGN_IN, Decision.ACCEPTED, auditing.actor_of(signed_in)))
    return redirect(url_for("console.instances.list_instances"), 303)


@blueprint.post("/sign-out")
def sign_out() -> AnyResponse:
    """End the session."""
    session.end()
    return redirect(url_for("console.sign_in.show_form"), 303)


def _form(*, wrong: bool = False) -> Response:
    return make_response(render_template("sign_in.html", wrong=wrong), 401 if wrong else 200)
