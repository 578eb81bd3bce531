"""The schemas of the documented responses."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema


class Message(BaseModel):
    """The inner object of the documented responses."""

    message: str


class Success(BaseModel):
    """The documented response."""

    status: Literal["SUCCESS"]
    error: Literal[False]
    response: Message


class PendingMessage(Message):
    """With the deletion's id."""

    deletionId: UUID  # noqa: N815
    notBefore: datetime | SkipJsonSchema[None] = Field(None, description="When a scheduled deletion begins")  # noqa: N815


class Pending(BaseModel):
    """Accepted, and not finished yet."""

    status: Literal["PENDING"]
    error: Literal[False]
    response: PendingMessage
