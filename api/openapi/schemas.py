"""The shapes of requests and answers, as the OpenAPI document shows them."""

from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Literal, Self, cast
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict
from pydantic.json_schema import SkipJsonSchema

from api.openapi import examples
from shared.database.models import Deletion, DeletionStatus, Step, StepStatus, WebhookStatus
from shared.deletions import progress, rechecks
from shared.webhooks import outbox


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("half of a surrogate pair is no text") from None
    return text


Text = Annotated[str, AfterValidator(_encodable)]
Storable = Annotated[Text, Field(pattern="^[^\\x00]*$")]  # PostgreSQL text cannot hold NUL


def _written_out(value: object) -> object:
    """A number would be taken for seconds since 1970."""
    if isinstance(value, str) and "T" not in value.upper():
        raise ValueError("a time such as 2026-11-25T08:00:00Z is needed")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out)]


class Schema(BaseModel):
    """camelCase outside, snake_case inside."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True)


def _body(schema: JsonDict | None = None, *, required: bool = True, **shown: dict[str, Any]) -> ConfigDict:
    """Nothing but the fields, by the names outside, of exactly their types; with named examples."""
    extra = {"required": required, "examples": {name: {"value": value} for name, value in shown.items()}}
    strictly = ConfigDict(extra="forbid", strict=True, populate_by_name=False, json_schema_extra=schema)
    return cast(ConfigDict, {**strictly, "openapi_extra": extra})


class ByName(BaseModel):
    """An instance, by its name: any text, percent-encoded."""

    instanceName: str = Field(  # noqa: N815
        min_length=1, description="Name of the instance, percent-encoded", json_schema_extra={"example": "my-instance"}
    )


class ById(BaseModel):
    """A deletion, by its id."""

    deletion_id: UUID = Field(description="Id of the deletion", json_schema_extra={"example": examples.DELETION_ID})


class Confirming(BaseModel):
    """What confirms a deletion, where one is demanded."""

    token: str | SkipJsonSchema[None] = Field(
        None, alias="X-Confirmation-Token", description="Of a preview for the same key, not older than 5 minutes"
    )
    code: str | SkipJsonSchema[None] = Field(
        None, alias="X-Confirmation-Code", description="A one-time code of the key; each is good once"
    )

    @classmethod
    @cache  # flask-openapi3 asks for it with each request that has headers to read
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """As pydantic makes it, once."""
        return super().model_json_schema(*args, **kwargs)


class Preference(Confirming):
    """How long to wait (RFC 7240), and what confirms it."""

    prefer: str | SkipJsonSchema[None] = Field(
        None, description="respond-async, or wait=N seconds", json_schema_extra={"example": "wait=2"}
    )


class Order(Schema):
    """Which instance to delete: by its name or by its id, not both."""

    model_config = _body(
        {"oneOf": [{"required": ["instanceName"]}, {"required": ["instanceId"]}]},
        byName=examples.BY_NAME,
        byId=examples.BY_ID,
        dryRun=examples.DRY_RUN,
    )

    instance_name: Text | SkipJsonSchema[None] = Field(None, description="Name of the instance")
    instance_id: Text | SkipJsonSchema[None] = Field(None, description="Id of the instance")
    dry_run: bool = Field(False, description="Only count what would go, and change nothing")
    without_gateway: list[Text] = Field([], description="With dryRun: as with a retry, not asked")

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.instance_name is None) == (self.instance_id is None):
            raise ValueError("give either instanceName or instanceId")
        if self.without_gateway and not self.dry_run:
            raise ValueError("withoutGateway goes with dryRun, or with a retry")
        return self


class Retry(Schema):
    """How to go on; without a body, as before."""

    model_config = _body(required=False, asBefore=examples.RESUME, withoutGateway=examples.RESUME_WITHOUT)

    @model_validator(mode="before")
    @classmethod
    def _empty(cls, value: object) -> object:
        return {} if value is None else value

    without_gateway: list[Text] = Field([], description="Gateways gone for good; unlisted servers, by clientName")


class Filter(BaseModel):
    """Which deletions, newest first."""

    model_config = ConfigDict(extra="forbid")

    status: DeletionStatus | SkipJsonSchema[None] = Field(None, description="Only those of this status")
    limit: int = Field(50, ge=1, le=200, description="How many at most")
    cursor: UUID | SkipJsonSchema[None] = Field(None, description="Go on behind this one: `next` of the answer before")


class StepView(Schema):
    """One step of a deletion. Counts are of rows, keys, files, objects."""

    name: str
    status: StepStatus
    attempts: int = Field(description="How often a worker has begun or taken up this step")
    planned: dict[str, int] | None = Field(description="What was counted before anything was removed")
    removed: dict[str, int] = Field(description="What was removed so far")
    done: int = Field(description="All that was removed so far")
    total: int = Field(description="All that is expected to go")
    per_second: float | None = Field(description="The mean rate since the step began, while it runs")
    eta_seconds: float | None = Field(description="How long it still takes at that rate")
    failures: int = Field(description="How often it failed by itself, ever")
    at_least: bool = Field(description="A run died between removing and counting: removed is a lower bound")
    notes: dict[str, Any] = Field(description="What else is worth knowing, such as how each gateway let go")
    started_at: datetime | None
    finished_at: datetime | None
    error: str | None

    @classmethod
    def of(cls, step: Step) -> "StepView":
        """From the own database's row, with how far it is."""
        how_far = asdict(progress.of_step(step.status, step.planned, step.removed, step.started_at, datetime.now(UTC)))
        fields = {name: getattr(step, name) for name in cls.model_fields if name not in how_far}
        return cls(**fields, **how_far)


class WebhookView(Schema):
    """What became of one webhook."""

    target: str = Field(description="instance or global")
    status: WebhookStatus = Field(description="expired: nobody took it in time, or the deletion was cancelled")
    tries: int
    next_try_at: datetime | None = Field(description="While it is pending")
    ended_at: datetime | None = Field(description="When it was delivered, refused or given up")
    error: str | None = Field(description="What the last try met")


class DeletionView(Schema):
    """A deletion, and how far it is."""

    id: UUID
    instance_id: str
    instance_name: str = Field(description="As it was when the deletion was accepted")
    status: DeletionStatus = Field(description="failed can be resumed; succeeded and cancelled never change again")
    attempt: int = Field(description="Raised whenever the deletion is resumed")
    accepted_at: datetime
    started_at: datetime | None
    irrevocable_at: datetime | None = Field(description="The point of no return: from here on it is finished")
    finished_at: datetime | None
    failed_at: datetime | None = Field(description="While it is failed: when it stopped")
    next_attempt_at: datetime | None = Field(description="When a waiting deletion is tried again")
    next_look_at: datetime | None = Field(description="After success: when its id is looked for again, within an hour")
    came_back: rechecks.CameBack | None = Field(description="What such a look has found; the receipt stays as it was")
    failed_step: str | None
    reason: str | None = Field(description="Why it waits or has stopped")
    without_gateways: list[str] = Field(description="Gateways that were given up")
    webhooks: list[WebhookView] = Field(description="Those that were to be sent, and what became of each by now")
    steps: list[StepView]

    @classmethod
    def of(cls, deletion: Deletion) -> "DeletionView":
        """From the own database's rows."""
        made = {
            "came_back": rechecks.came_back(deletion),
            "webhooks": [WebhookView.model_validate(outbox.delivery_of(event)) for event in deletion.webhooks],
            "steps": [StepView.of(step) for step in deletion.steps],
        }
        return cls(**made, **{name: getattr(deletion, name) for name in cls.model_fields if name not in made})


class Accepted(Schema):
    """A deletion that was accepted and cannot be shown at the moment."""

    model_config = ConfigDict(extra="forbid")

    id: UUID


class Ordered(RootModel[DeletionView | Accepted]):
    """The deletion that was accepted."""


class DeletionList(Schema):
    """Some deletions, newest first, and where to go on."""

    deletions: list[DeletionView]
    next: UUID | None


class Preview(Schema):
    """What a deletion would remove; nothing was changed, and nothing of it can be recovered afterwards."""

    instance_id: str
    instance_name: str
    planned: dict[str, dict[str, int]]
    warning: str
    confirmation_token: str = Field(description="To send as X-Confirmation-Token, with the same key within 5 minutes")


class KeySet(BaseModel):
    """A JSON Web Key Set (RFC 7517)."""

    keys: list[dict[str, str]]


class Message(BaseModel):
    """The inner part of the documented answers."""

    message: str


class Success(BaseModel):
    """The documented answer."""

    status: Literal["SUCCESS"]
    error: Literal[False]
    response: Message


class PendingMessage(Message):
    """With the id to ask for."""

    deletionId: UUID  # noqa: N815


class Pending(BaseModel):
    """Accepted, and still under way."""

    status: Literal["PENDING"]
    error: Literal[False]
    response: PendingMessage


class Error(BaseModel):
    """The shape of every error."""

    error: Literal[True]
    message: str
    deletionId: UUID | SkipJsonSchema[None] = Field(None, description="The deletion that is meant")  # noqa: N815


class Health(BaseModel):
    """Each dependency with its state: ok, or what is wrong."""

    status: Literal["ok", "unavailable"]
    checks: dict[str, str]
