"""The schemas of what `POST /deletions` answers: an accepted deletion, a preview, and the same for many."""

from uuid import UUID

from pydantic import ConfigDict, Field, RootModel

from api.openapi.schemas import DeletionView, Schema
from tasks.orders.bulk_list import Outcome


class Accepted(Schema):
    """A deletion that was accepted and cannot be loaded at the moment."""

    model_config = ConfigDict(extra="forbid")

    id: UUID


class Ordered(RootModel[DeletionView | Accepted]):
    """The deletion that was accepted."""


class Preview(Schema):
    """What a deletion would remove. Nothing was changed; after a deletion, nothing can be recovered."""

    instance_id: str
    instance_name: str
    planned: dict[str, dict[str, int]]
    not_covered: list[str] = Field(description="What may hold data of the instance and stays, in sentences")
    not_rehearsed: list[str] = Field(description="What could not be tried before the deletion, in sentences")
    warning: str
    confirmation_token: str = Field(description="For the header X-Confirmation-Token, with the same key, for 5 minutes")


class BulkResult(Schema):
    """What became of one name."""

    instance_name: str
    result: Outcome
    deletion_id: UUID | None = Field(description="Of the deletion that was accepted, or is under way")
    reason: str | None = Field(description="Why it was not accepted")


class BulkOrdered(Schema):
    """What became of each name of the list."""

    bulk_id: UUID | None = Field(description="Of the order; null when nothing was accepted")
    digest: str = Field(description="SHA-256 of what the list meant")
    accepted: int = Field(description="How many deletions were accepted")
    results: list[BulkResult] = Field(description="In the order of the list, each name once")
    duplicates: list[str] = Field(description="Names that the list has more than once")


class BulkPreview(Schema):
    """What an order of many would remove, in sums. Nothing was changed."""

    digest: str = Field(description="SHA-256 of what the list means now; for `digest` of the order")
    instances: int = Field(description="How many deletions would be accepted")
    planned: dict[str, dict[str, int]] = Field(description="Sums over all of them")
    not_counted: list[str] = Field(description="What is missing in the sums, in sentences")
    results: list[BulkResult] = Field(description="found: would be accepted; refused: could not be deleted")
    duplicates: list[str] = Field(description="Names that the list has more than once")
    warning: str
    confirmation_token: str = Field(description="For the header X-Confirmation-Token: one token for the whole list")


class OrderedOrMany(RootModel[DeletionView | Accepted | BulkOrdered]):
    """The deletion that was accepted; with instanceNames, a result for each name."""


class PreviewOfOrder(RootModel[Preview | BulkPreview | BulkOrdered]):
    """With dryRun, what would be removed; without it, a list of names of which none was accepted."""
