"""The schemas of requests and responses in the OpenAPI document."""

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
    Strict,
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
        raise ValueError("half of a surrogate pair is not text") from None
    return text


Text = Annotated[str, AfterValidator(_encodable)]
Names = Annotated[list[Text], Field(min_length=1, max_length=1000)]
Storable = Annotated[Text, Field(pattern="^[^\\x00]*$")]  # PostgreSQL text cannot hold NUL


def _written_out(value: object) -> object:
    """Refuse numbers, which pydantic would read as seconds since 1970."""
    if not isinstance(value, str) or "T" not in value.upper():
        raise ValueError("must be a time such as 2026-11-25T08:00:00Z")
    return value


Moment = Annotated[AwareDatetime, Strict(False), BeforeValidator(_written_out)]


class Schema(BaseModel):
    """Fields are camelCase in JSON, snake_case in Python."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True)


def _body(schema: JsonDict | None = None, *, required: bool = True, **shown: dict[str, Any]) -> ConfigDict:
    """A request body: no unknown fields, no type conversion; with named examples."""
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
    """The confirmation of a deletion, where one is required."""

    token: str | SkipJsonSchema[None] = Field(
        None, alias="X-Confirmation-Token", description="Token of a preview with the same key, at most 5 minutes old"
    )
    code: str | SkipJsonSchema[None] = Field(
        None, alias="X-Confirmation-Code", description="A one-time code of the key; each is valid once"
    )

    @classmethod
    @cache  # flask-openapi3 calls it for each request with a header model
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """The schema of pydantic, computed once."""
        return super().model_json_schema(*args, **kwargs)


class Preference(Confirming):
    """How long to wait (RFC 7240), and the confirmation."""

    prefer: str | SkipJsonSchema[None] = Field(
        None, description="respond-async, or wait=N seconds", json_schema_extra={"example": "wait=2"}
    )


class Order(Schema):
    """The instance to delete: its name or its id; or the names of many."""

    model_config = _body(
        {"oneOf": [{"required": [name]} for name in ("instanceName", "instanceId", "instanceNames")]},
        byName=examples.BY_NAME,
        byId=examples.BY_ID,
        dryRun=examples.DRY_RUN,
        later=examples.LATER,
        many=examples.MANY,
    )

    instance_name: Text | SkipJsonSchema[None] = Field(None, description="Name of the instance")
    instance_id: Text | SkipJsonSchema[None] = Field(None, description="Id of the instance")
    not_before: Moment | SkipJsonSchema[None] = Field(
        None,
        description="Schedule it: it begins at this moment (ISO 8601 with offset, at most 90 days ahead), and can be"
        " cancelled until then",
    )
    instance_names: Names | SkipJsonSchema[None] = Field(None, description="Names of up to 1,000 instances")
    digest: str | SkipJsonSchema[None] = Field(
        None, description="With instanceNames: the digest that their preview had; the list has to mean the same now"
    )
    export: bool = Field(False, description="Write an export to LETHE_EXPORT_TO first, and erase nothing without it")
    dry_run: bool = Field(False, description="Only count what would be removed, and change nothing")
    without_gateway: list[Text] = Field([], description="With dryRun: gateways that are not asked, as with a retry")

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if [self.instance_name, self.instance_id, self.instance_names].count(None) != 2:
            raise ValueError("give either instanceName or instanceId, or instanceNames")
        if self.digest is not None and (self.instance_names is None or self.dry_run):
            raise ValueError("digest goes with instanceNames, and not with dryRun")
        if self.without_gateway and self.instance_names is not None:
            raise ValueError("withoutGateway does not go with instanceNames")
        if self.without_gateway and not self.dry_run:
            raise ValueError("withoutGateway goes with dryRun, or with a retry")
        return self


class Retry(Schema):
    """How to resume; the body is optional."""

    model_config = _body(required=False, asBefore=examples.RESUME, withoutGateway=examples.RESUME_WITHOUT)

    @model_validator(mode="before")
    @classmethod
    def _empty(cls, value: object) -> object:
        return {} if value is None else value

    without_gateway: list[Text] = Field([], description="Gateways gone for good; unlisted servers by clientName")


class Filter(BaseModel):
    """Filters for deletions."""

    model_config = ConfigDict(extra="forbid")

    status: DeletionStatus | SkipJsonSchema[None] = Field(None, description="Only those of this status")
    bulk: UUID | SkipJsonSchema[None] = Field(None, description="Only those of this order of many: its `bulkId`")
    limit: int = Field(50, ge=1, le=200, description="How many at most")
    cursor: UUID | SkipJsonSchema[None] = Field(
        None, description="Continue after this one: `next` of the response before"
    )


class StepView(Schema):
    """One step of a deletion. Counts are of rows, keys, files, objects."""

    name: str
    status: StepStatus
    attempts: int = Field(description="How often a worker has claimed this step")
    planned: dict[str, int] | None = Field(description="What was counted before anything was removed")
    removed: dict[str, int] = Field(description="What was removed so far")
    done: int = Field(description="Sum of removed")
    total: int = Field(description="Sum of what is expected to be removed")
    per_second: float | None = Field(description="Mean rate since the step began, while it runs")
    eta_seconds: float | None = Field(description="Remaining time at that rate")
    failures: int = Field(description="How often the step itself has failed, in all")
    at_least: bool = Field(description="A worker died between removing and counting: removed is a lower bound")
    notes: dict[str, Any] = Field(description="Other results, such as how each gateway dropped the instance")
    started_at: datetime | None
    finished_at: datetime | None
    error: str | None

    @classmethod
    def of(cls, step: Step) -> "StepView":
        """From the row, with its progress."""
        computed = asdict(progress.of_step(step.status, step.planned, step.removed, step.started_at, datetime.now(UTC)))
        fields = {name: getattr(step, name) for name in cls.model_fields if name not in computed}
        return cls(**fields, **computed)


class WebhookView(Schema):
    """The state of one webhook."""

    target: str = Field(description="instance, global, or operator (LETHE_NOTIFY_URL)")
    status: WebhookStatus = Field(description="expired: not accepted in time, or the deletion was cancelled")
    tries: int
    next_try_at: datetime | None = Field(description="While it is pending")
    ended_at: datetime | None = Field(description="When it was delivered, refused or given up")
    error: str | None = Field(description="The failure of the last try")


class DeletionView(Schema):
    """A deletion and its progress."""

    id: UUID
    instance_id: str
    instance_name: str = Field(description="As it was when the deletion was accepted, or when a scheduled one began")
    bulk_id: UUID | None = Field(description="The order of many deletions that it belongs to")
    status: DeletionStatus = Field(
        description="scheduled begins at notBefore; failed can be resumed; succeeded and cancelled never change again"
    )
    attempt: int = Field(description="Raised whenever the deletion is resumed")
    accepted_at: datetime
    not_before: datetime | None = Field(description="The moment before which it does not begin, if it was scheduled")
    started_at: datetime | None
    irrevocable_at: datetime | None = Field(description="The point of no return: from then on it cannot be cancelled")
    finished_at: datetime | None
    failed_at: datetime | None = Field(description="When it failed, while its status is failed")
    next_attempt_at: datetime | None = Field(description="When a waiting deletion is tried again")
    next_look_at: datetime | None = Field(description="After success: when Lethe checks again, within an hour")
    came_back: rechecks.CameBack | None = Field(description="What such a check has found; the receipt does not change")
    failed_step: str | None
    reason: str | None = Field(description="Why it waits or has stopped")
    hint: str | None = Field(description="What helps against the error of a server in the reason")
    needs_operator: bool = Field(description="It failed after the point of no return, and continues only when resumed")
    without_gateways: list[str] = Field(description="Gateways that were given up")
    exports: bool = Field(description="An export is written first, and nothing is erased without it")
    archive_sha256: str | None = Field(description="SHA-256 of the manifest of the closed export")
    webhooks: list[WebhookView] = Field(description="The webhooks of this deletion and their states")
    steps: list[StepView]

    @classmethod
    def of(cls, deletion: Deletion) -> "DeletionView":
        """From the rows of Lethe's own database."""
        made = {
            "came_back": rechecks.came_back(deletion),
            "webhooks": [WebhookView.model_validate(outbox.delivery_of(event)) for event in deletion.webhooks],
            "steps": [StepView.of(step) for step in deletion.steps],
        }
        return cls(**made, **{name: getattr(deletion, name) for name in cls.model_fields if name not in made})


class DeletionList(Schema):
    """One page of deletions, newest first, and the cursor of the next page."""

    deletions: list[DeletionView]
    next: UUID | None
    counts: dict[DeletionStatus, int] | SkipJsonSchema[None] = Field(
        None, description="With `bulk`: how many of the order's deletions have each status"
    )


class Error(BaseModel):
    """The body of every error."""

    error: Literal[True]
    message: str
    deletionId: UUID | SkipJsonSchema[None] = Field(None, description="The deletion")  # noqa: N815


class Health(BaseModel):
    """Each dependency with its state: ok, or the failure."""

    status: Literal["ok", "unavailable"]
    checks: dict[str, str]
