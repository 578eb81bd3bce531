"""The OpenAPI document is complete, valid and equal to the code."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests import contract

# For browsers: Swagger UI's files, and the console.
FOR_BROWSERS = re.compile(r"/docs/.*|/console.*")
Told = tuple[str, str, dict[str, Any]]


def answers() -> Iterator[Told]:
    """Every response of the document: operation, status and description."""
    for operation in contract.operations():
        for status, described in operation.responses.items():
            yield f"{operation.method} {operation.path}", status, described


every_answer = pytest.mark.parametrize(
    ("operation", "status", "described"), [*answers()], ids=lambda value: value if isinstance(value, str) else ""
)
every_operation = pytest.mark.parametrize(
    "operation", contract.operations(), ids=lambda operation: f"{operation.method} {operation.path}"
)


def test_it_is_an_openapi_document() -> None:
    """Valid by the schema of version 3.1."""
    OpenAPIV31SpecValidator(contract.document()).validate()

    assert contract.document()["openapi"].startswith("3.1")


def test_every_route_is_in_it_and_every_operation_has_a_route() -> None:
    """With its methods; except pages for browsers."""
    served = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method)
        for rule in contract.application().url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if not FOR_BROWSERS.fullmatch(rule.rule)
    }

    assert served == {(operation.path, operation.method) for operation in contract.operations()}
    assert len(served) > 10


@every_operation
def test_an_operation_is_described(operation: contract.Operation) -> None:
    """With operationId, summary, description, and a described tag."""
    described = contract.document()["paths"][operation.path][operation.method.lower()]
    tags = {tag["name"]: tag["description"] for tag in contract.document()["tags"]}

    assert re.fullmatch("[a-z][A-Za-z]+", described["operationId"])
    assert described["summary"]
    assert described["description"]
    assert all(tags[tag] for tag in described["tags"])
    assert all(parameter["description"] for parameter in described.get("parameters", []))


def test_operation_ids_are_unique() -> None:
    """Otherwise generated clients lose one."""
    names = [operation["operationId"] for item in contract.document()["paths"].values() for operation in item.values()]

    assert len(names) == len(set(names))


def test_operations_that_need_a_key_say_so() -> None:
    """And have 401; the others have not."""
    for operation in contract.operations():
        described = contract.document()["paths"][operation.path][operation.method.lower()]

        assert ("security" in described) == ("401" in operation.responses), operation.path


@every_answer
def test_an_answer_is_described_with_an_example(operation: str, status: str, described: dict[str, Any]) -> None:
    """Each example fits its schema."""
    assert len(described["description"]) > 10, operation
    assert "X-Request-Id" in described["headers"]
    for media in described["content"].values():
        shown = [one["value"] for one in media.get("examples", {}).values()] or [media["example"]]

        for example in shown:
            contract.validator(media["schema"]).validate(example)


@every_answer
def test_a_header_is_described(operation: str, status: str, described: dict[str, Any]) -> None:
    """With an example of its type."""
    for header in described["headers"].values():
        assert header["description"]

        contract.validator(header["schema"]).validate(header["example"])


def test_examples_of_requests_fit_their_schemas() -> None:
    """Each body has at least one."""
    bodies = [
        operation["requestBody"]["content"]["application/json"]
        for item in contract.document()["paths"].values()
        for operation in item.values()
        if "requestBody" in operation
    ]

    assert bodies
    for body in bodies:
        assert body["examples"]
        for example in body["examples"].values():
            contract.validator(body["schema"]).validate(example["value"])


def test_links_lead_to_operations() -> None:
    """With a parameter that the operation has."""
    parameters = {
        operation["operationId"]: {parameter["name"] for parameter in operation.get("parameters", [])}
        for item in contract.document()["paths"].values()
        for operation in item.values()
    }
    links = [link for _, _, described in answers() for link in described.get("links", {}).values()]

    assert links
    for link in links:
        assert set(link["parameters"]) <= parameters[link["operationId"]]


def test_swagger_ui_needs_no_external_files() -> None:
    """It works without internet."""
    page = contract.application().test_client().get("/docs").text

    assert not re.search(r"(?:src|href)=.(?:https?:)?//", page)
    assert "/openapi.json" not in page  # named by the script: the page itself runs none
    assert all(
        contract.application().test_client().get(path).status_code == 200
        for path in re.findall(r'(?:src|href)="([^"]+)"', page)
    )
    assert json.loads(contract.application().test_client().get("/openapi.json").text) == contract.document()
