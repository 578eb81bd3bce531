"""The schemas of the audit in the OpenAPI document."""

from datetime import datetime
from uuid import UUID

from pydantic import ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from api.openapi.schemas import Moment, Schema, Storable
from shared.audit.entries import Action, Decision


class AuditFilter(Schema):
    """Filters for lines of the audit."""

    model_config = ConfigDict(extra="forbid", populate_by_name=False)

    since: Moment | SkipJsonSchema[None] = Field(None, description="Not before this time")
    until: Moment | SkipJsonSchema[None] = Field(None, description="Before this time")
    action: Action | SkipJsonSchema[None] = Field(None, description="Only this action")
    decision: Decision | SkipJsonSchema[None] = Field(None, description="Only this decision or outcome")
    key_id: Storable | SkipJsonSchema[None] = Field(None, description="Only lines of this key")
    deletion_id: UUID | SkipJsonSchema[None] = Field(None, description="Only lines of this deletion")
    instance_id: Storable | SkipJsonSchema[None] = Field(None, description="Only lines of this instance")
    limit: int = Field(50, ge=1, le=200, description="How many at most")
    cursor: int | SkipJsonSchema[None] = Field(
        None, ge=1, lt=2**63, description="Continue after this line: `next` of the response before"
    )


class AuditLineView(Schema):
    """One line; `hash` covers the line and `previous`, the hash of the line before."""

    seq: int = Field(description="Its position in the chain")
    at: datetime
    action: Action
    decision: Decision
    role: str
    key_id: str | None = Field(description="Id of the caller's key; it is no secret")
    address: str | None
    user_agent: str | None
    request_id: str | None
    instance_id: str | None
    deletion_id: UUID | None
    reason: str | None
    times: int = Field(description="How many requests this line counts")
    previous: str
    hash: str


class AuditPage(Schema):
    """One page of lines, newest first, and the cursor of the next page."""

    lines: list[AuditLineView]
    next: int | None
