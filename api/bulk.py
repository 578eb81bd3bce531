"""Orders of many deletions by a list of names: an answer for each, one confirmation for all."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from flask import Response

from api.openapi.order_schemas import BulkOrdered, BulkPreview, BulkResult
from api.request import auditing, auth, confirmation, orders, resources
from api.request.errors import Unauthorized, json_response
from shared.access.confirmation import WARNING
from shared.audit.entries import Action
from shared.database.enums import Role
from tasks.orders import bulk, bulk_list, bulk_preview
from tasks.orders.bulk_list import Outcome, Result
from tasks.orders.caller import Caller


def order(names: Sequence[str], shown: str | None, not_before: datetime | None, *, exports: bool) -> Response:
    """Accept the deletions; 202 when there was one to accept. shown: the digest of the list that was previewed."""
    auditing.set_action(Action.BULK)
    services, who = resources.services(), replace(caller(shown), exports=exports)
    ordered = bulk.submit(services, who, bulk_list.look(services, who, names=names), not_before)
    answer = BulkOrdered(
        bulk_id=ordered.bulk_id,
        digest=ordered.digest,
        accepted=sum(each.outcome is Outcome.ACCEPTED for each in ordered.results),
        results=_views(ordered.results),
        duplicates=_duplicates(names),
    )
    body = answer.model_dump(mode="json", by_alias=True)
    if ordered.bulk_id is None:
        return json_response(body)
    return json_response(body, 202, {"Location": f"/deletions?bulk={ordered.bulk_id}"})


def preview(names: Sequence[str], not_before: datetime | None, *, exports: bool) -> Response:
    """What would be removed, in sums, and the token that confirms it."""
    auditing.set_action(Action.PREVIEW)
    services, who = resources.services(), replace(caller(None), exports=exports)
    bulk.check(services, who, not_before)
    meant = bulk_list.look(services, who, names=names)
    found, digest = bulk_preview.preview(services, who, meant), bulk_list.digest_of(meant)
    results = [_with_refusal(each.result, found.refused) for each in meant]
    answer = BulkPreview(
        digest=digest,
        instances=sum(each.result.outcome is Outcome.FOUND for each in meant),
        planned=found.planned,
        not_counted=found.not_counted,
        results=_views(results),
        duplicates=_duplicates(names),
        warning=WARNING,
        confirmation_token=confirmation.token_of_list(digest),
    )
    return json_response(answer.model_dump(mode="json", by_alias=True))


def caller(shown: str | None) -> Caller:
    """The caller of this request for an order of many; raises Unauthorized for an instance's token.

    shown: the digest of the list that was previewed.
    """
    if auth.principal().role is Role.INSTANCE:  # its token is for itself alone
        raise Unauthorized
    return orders.caller_of_many(shown)


def _with_refusal(result: Result, refused: Mapping[str, str]) -> Result:
    why = refused.get(result.called)
    return replace(result, outcome=Outcome.REFUSED, reason=why) if why else result


def _views(results: Iterable[Result]) -> list[BulkResult]:
    return [
        BulkResult(instance_name=each.called, result=each.outcome, deletion_id=each.deletion_id, reason=each.reason)
        for each in results
    ]


def _duplicates(names: Sequence[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]
