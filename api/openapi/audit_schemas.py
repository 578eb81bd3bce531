"""The shapes of the audit, as the OpenAPI document shows them."""

from datetime import datetime
from uuid import UUID

from pydantic import ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from api.openapi.schemas import Moment, Schema, Storable
from shared.audit.entries import Action, Decision


class AuditFilter(Schema):
    """Which lines of the audit, newest first."""

    model_config = ConfigDict(extra="forbid", populate_by_name=False)

    since: Moment | SkipJsonSchema[None] = Field(None, description="Not before this time")
    until: Moment | SkipJsonSchema[None] = Field(None, description="Before this time")
    action: Action | SkipJsonSchema[None] = Field(None, description="Only this action")
    decision: Decision | SkipJsonSchema[None] = Field(None, description="Only this decision or outcome")
    key_id: Storable | SkipJsonSchema[None] = Field(None, description="Only what this key did")
    deletion_id: UUID | SkipJsonSchema[None] = Field(None, description="Only of this deletion")
    instance_id: Storable | SkipJsonSchema[None] = Field(None, description="Only of this instance")
    limit: int = Field(50, ge=1, le=200, description="How many at most")
    cursor: int | SkipJsonSchema[None] = Field(
        None, ge=1, lt=2**63, description="Go on behind this line: `next` of the answer before"
    )


class AuditLineView(Schema):
    """One line; `hash` seals it together with `previous`, the hash of the line before."""

    seq: int = Field(description="Its place in the chain")
    at: datetime
    action: Action
    decision: Decision
    role: str
    key_id: str | None = Field(description="Which key called; it opens nothing")
    address: str | None
    user_agent: str | None
    request_id: str | None
    instance_id: str | None
    deletion_id: UUID | None
    reason: str | None
    times: int = Field(description="How many attempts this line stands for")
    previous: str
    hash: str


class AuditPage(Schema):
    """Some lines, newest first, and where to go on."""

    lines: list[AuditLineView]
    next: int | None
