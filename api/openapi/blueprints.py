"""Blueprints of endpoints: open ones, and those that need an API key."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from api.openapi import responses
from api.request import auth


def open_blueprint(name: str, module: str, description: str, *errors: int, **more: Any) -> APIBlueprint:
    """Endpoints without authentication; any of them can end with these errors."""
    return APIBlueprint(
        name,
        module,
        abp_tags=[Tag(name=name, description=description)],
        abp_responses=responses.errors(*errors),
        operation_id_callback=responses.operation_id,
        **more,
    )


def protected_blueprint(name: str, module: str, description: str, *errors: int) -> APIBlueprint:
    """Endpoints that need an API key or an instance's token; any of them can end with these errors, 401 and 429."""
    made = open_blueprint(name, module, description, 401, 429, *errors, abp_security=[{"apikey": []}])
    made.before_request(auth.authenticate)
    return made
