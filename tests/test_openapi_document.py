"""The OpenAPI document says what is, and every example in it is true."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from app.core.errors import catalogue
from app.uploads.dialects import ANSWERED_HEADERS, ASKED_HEADERS, IETF_BYTES, TUS_BYTES
from tests.conftest import Running
from tests.described import document, faults, operations, resolved

OPERATIONS = {
    "GET /verifytoken": "verify_token",
    "GET /profile": "get_profile",
    "POST /profile": "change_profile",
    "GET /api-key": "get_api_key",
    "POST /api-key": "renew_api_key",
    "POST /api-key/regenerate": "regenerate_api_key",
    "POST /logout": "logout",
    "GET /sessions": "list_sessions",
    "DELETE /sessions": "end_sessions",
    "DELETE /sessions/{session_id}": "end_one_session",
    "GET /audit": "list_events",
    "GET /export": "export_data",
    "POST /delete": "delete_account",
    "POST /signup": "signup",
    "POST /register": "register",
    "POST /confirmation": "confirm",
    "POST /send-confirmation-token": "resend_confirmation",
    "POST /forgotpassword": "forgot_password",
    "POST /forgot-token": "check_reset_token",
    "POST /resetpassword": "reset_password",
    "POST /login": "login",
    "POST /token": "create_token",
    "POST /feedback": "send_feedback",
    "GET /tokens": "list_api_tokens",
    "POST /tokens": "create_api_token",
    "DELETE /tokens/{token_id}": "revoke_api_token",
    "POST /tokens/revoke": "revoke_leaked_api_token",
    "GET /trusted-publishers": "list_trusted_publishers",
    "POST /trusted-publishers": "add_trusted_publisher",
    "DELETE /trusted-publishers/{publisher_id}": "remove_trusted_publisher",
    "POST /image": "change_image",
    "DELETE /image": "remove_image",
    "GET /imgs/{name}": "get_image",
    "GET /limits": "get_limits",
    "GET /licences": "list_licences",
    "POST /data-upload": "upload_dataset",
    "POST /data-edit-upload": "upload_draft",
    "GET /data-edit": "show_dataset",
    "POST /data-edit": "edit_dataset",
    "POST /data-tag": "tag_dataset",
    "POST /data-untag": "untag_dataset",
    "POST /upload-task": "upload_task",
    "GET /upload-task/{request_id}": "get_task_status",
    "POST /upload-collection-tasks": "upload_collection_of_tasks",
    "POST /upload-collection-runs": "upload_collection_of_runs",
    "GET /health/live": "live",
    "GET /health/ready": "ready",
    "OPTIONS /uploads": "get_upload_options",
    "POST /uploads": "create_upload",
    "GET /uploads": "list_uploads",
    "HEAD /uploads/{upload_id}": "get_upload_offset",
    "PATCH /uploads/{upload_id}": "change_upload",
    "DELETE /uploads/{upload_id}": "cancel_upload",
    "GET /uploads/{upload_id}": "get_upload",
    "POST /uploads/{upload_id}/publish": "publish_upload",
    "POST /uploads/{upload_id}/retry": "retry_upload",
    "GET /uploads/{upload_id}/preview": "get_upload_preview",
    "GET /uploads/{upload_id}/events": "watch_upload",
}
"""What generated clients call; another name breaks all of them."""
BEARER: list[Any] = [{"SignedIn": []}]
BEARER_OR_KEY = [*BEARER, {"ApiKey": []}]
NOT_READ = {
    "Upload-Draft-Interop-Version": "older drafts only",
    "Want-Content-Digest": "ignored, as RFC 9530 lets",
    "Want-Repr-Digest": "ignored, as RFC 9530 lets",
    "X-HTTP-Method-Override": "makes another operation of the request",
    "X-Requested-With": "sent by libraries of browsers",
}
"""Headers that pages may send, and no operation reads."""
BYTES = {"type": "string", "format": "binary"}


def operation_called(name: str) -> dict[str, Any]:
    method, path = name.split()
    found: dict[str, Any] = document()["paths"][path][method.lower()]
    return found


def test_operations_when_listed_then_they_are_called_as_ever() -> None:
    found = {f"{method} {path}": operation["operationId"] for method, path, operation in operations()}

    assert OPERATIONS.items() <= found.items()
    assert len(set(found.values())) == len(found)


def references(described: object) -> Iterator[str]:
    if isinstance(described, dict):
        for name, inside in described.items():
            if name == "$ref" and isinstance(inside, str):
                yield inside
            yield from references(inside)
    elif isinstance(described, list):
        for inside in described:
            yield from references(inside)


def test_references_when_followed_then_each_leads_somewhere_and_each_component_is_used() -> None:
    used = set(references(document()))

    assert all(resolved({"$ref": reference}) for reference in used)
    components = document()["components"]
    kinds = components.keys() - {"securitySchemes"}
    assert {f"#/components/{kind}/{name}" for kind in kinds for name in components[kind]} == used


def test_document_when_read_then_it_says_whose_it_is_and_where() -> None:
    info = document()["info"]

    assert info["license"] == {"name": "BSD 3-Clause", "identifier": "BSD-3-Clause"}
    assert info["contact"]["url"].startswith("http")
    assert {tag for _, _, operation in operations() for tag in operation["tags"]} == {
        tag["name"] for tag in document()["tags"]
    }
    assert all(operation["summary"] and operation["description"] for _, _, operation in operations())


async def test_servers_when_asked_under_any_name_then_the_first_is_the_one_that_was_asked(
    app: Running,
) -> None:
    site = app.resources.settings.site_url
    for host, first in ((site.partition("//")[2], site), ("localhost:81", "/")):
        answer = await app.client.get("/openapi.json", headers={"Host": host})
        servers = [server["url"] for server in answer.json()["servers"]]
        assert servers[0] == first
        assert set(servers) == {site, "/"}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_when_described_then_it_says_who_may_ask(name: str) -> None:
    operation = operation_called(name)
    security = [need for need in operation["security"] if need.keys() != {"ApiToken"}]

    assert security in ([], BEARER, BEARER_OR_KEY)
    assert "401" in operation["responses"] or security == []


@pytest.mark.parametrize("name", OPERATIONS)
def test_answers_when_described_then_problems_are_one_schema_and_what_has_no_body_has_none(name: str) -> None:
    method, path = name.split()
    for status, answer in operation_called(name)["responses"].items():
        described = resolved(answer)
        content = described.get("content", {})
        assert "X-Request-ID" in described["headers"]
        assert ("Tus-Resumable" in described["headers"]) == path.startswith("/uploads")
        if method == "HEAD" or status in {"204", "304"}:
            assert not content, status
        elif path in {"/token", "/tokens/revoke"} and "application/json" in content:
            schema = "TokenFailure" if status[0] in "45" else "TokenResponse"
            assert content["application/json"]["schema"] == {"$ref": f"#/components/schemas/{schema}"}
        elif status[0] in "45":
            assert content.keys() == {"application/problem+json"}
            problem = content["application/problem+json"]
            assert problem["schema"] == {"$ref": "#/components/schemas/Problem"}
            assert problem["examples"]
        if status in {"429", "503", "507"}:
            assert "Retry-After" in described["headers"]
    assert "HTTPValidationError" not in json.dumps(document())


def test_error_of_an_upload_when_described_then_it_is_a_problem() -> None:
    schemas = document()["components"]["schemas"]

    for model, field in (
        ("UploadStatusResponse", "error"),
        ("UploadDetailResponse", "error"),
        ("TaskStatusResponse", "problem"),
    ):
        assert {"$ref": "#/components/schemas/Problem"} in schemas[model]["properties"][field]["anyOf"]
    assert {"row", "column", "line", "hint", "reason", "errors", "code", "limit_bytes"} <= schemas["Problem"][
        "properties"
    ].keys()


@pytest.mark.parametrize("kind", catalogue(), ids=lambda kind: kind.slug)
def test_problem_when_shown_as_an_example_then_it_is_one_of_its_kind(kind: type[Any]) -> None:
    example = kind.example()

    assert type(example) is kind
    assert not faults({"$ref": "#/components/schemas/Problem"}, example.document())


def headers_of(method: str, path: str, status: str) -> set[str]:
    return set(resolved(document()["paths"][path][method]["responses"][status])["headers"])


def test_uploads_when_described_then_every_header_of_both_dialects_is() -> None:
    uploads = [operation for _, path, operation in operations() if path.startswith("/uploads")]
    asked = {resolved(one)["name"] for operation in uploads for one in operation["parameters"]}
    answered = {
        name
        for operation in uploads
        for answer in operation["responses"].values()
        for name in resolved(answer)["headers"]
    }

    assert set(ASKED_HEADERS) - NOT_READ.keys() <= asked
    assert set(ANSWERED_HEADERS) - {"Upload-Draft-Interop-Version"} <= answered
    assert {"Location", "Upload-Offset", "Upload-Limit"} <= headers_of("post", "/uploads", "201")
    assert {"Upload-Offset", "Upload-Complete", "Repr-Digest"} <= headers_of(
        "head", "/uploads/{upload_id}", "204"
    )
    assert {"Upload-Offset", "Upload-Expires"} <= headers_of("patch", "/uploads/{upload_id}", "204")
    assert "Upload-Offset" in headers_of("patch", "/uploads/{upload_id}", "409")
    assert "Tus-Version" in headers_of("patch", "/uploads/{upload_id}", "412")
    assert {"Accept-Patch", "Accept-Encoding"} <= headers_of("patch", "/uploads/{upload_id}", "415")
    assert "Upload-Limit" in headers_of("patch", "/uploads/{upload_id}", "413")
    assert "Location" in headers_of("post", "/data-upload", "202")


def test_bodies_when_they_are_bytes_then_they_are_described_as_bytes() -> None:
    def content(method: str, path: str) -> dict[str, Any]:
        found: dict[str, Any] = document()["paths"][path][method]["requestBody"]["content"]
        return found

    sent = content("patch", "/uploads/{upload_id}")
    assert sent[TUS_BYTES]["schema"] == sent[IETF_BYTES]["schema"] == BYTES
    assert sent["application/json"]["schema"] == {"$ref": "#/components/schemas/DraftMetadata"}
    begun = content("post", "/uploads")
    assert begun[TUS_BYTES]["schema"] == begun["application/octet-stream"]["schema"] == BYTES
    form = content("post", "/data-upload")["multipart/form-data"]
    assert form["schema"]["properties"]["metadata"] == {"$ref": "#/components/schemas/UploadMetadata"}
    assert form["encoding"]["metadata"]["contentType"] == "application/json"


def examples(described: object, place: str = "") -> Iterator[tuple[str, object, object]]:
    """Yield the place of each example, its schema and itself."""
    if isinstance(described, list):
        for number, inside in enumerate(described):
            yield from examples(inside, f"{place}/{number}")
    if not isinstance(described, dict):
        return
    schema = described.get("schema", described)
    if "example" in described:
        yield place, schema, described["example"]
    found = described.get("examples", [])
    for one in found.values() if isinstance(found, dict) else found:
        yield place, schema, resolved(one)["value"] if isinstance(found, dict) else one
    for name, inside in described.items():
        if name not in {"example", "examples"}:
            yield from examples(inside, f"{place}/{name}")


def test_examples_when_held_against_their_schemas_then_each_is_true() -> None:
    described = {**document(), "components": {**document()["components"], "examples": {}}}
    found = list(examples(described))

    assert len(found) > 300
    wrong = {
        place: bad
        for place, schema, example in found
        if isinstance(schema, dict) and (bad := faults(schema, example))
    }
    assert not wrong


def test_bodies_when_described_then_fields_that_are_needed_have_examples() -> None:
    for _, path, operation in operations():
        for kind, body in operation.get("requestBody", {}).get("content", {}).items():
            if "json" in kind or "urlencoded" in kind:
                schema = resolved(body["schema"])
                for name in schema.get("required", []):
                    field = resolved(schema["properties"][name])
                    assert {"examples", "enum", "const"} & field.keys(), (path, name)
