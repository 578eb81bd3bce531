"""Examples of requests and responses for the OpenAPI document; a test checks them against its schemas."""

from typing import Any

from shared.access.confirmation import WARNING

DELETION_ID = "6f1c2a34-0b5d-4e7f-8a9b-1c2d3e4f5a6b"
_INSTANCE_ID = "0c9d8e7f-6a5b-4c3d-9e2f-1a0b9c8d7e6f"
_HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

BY_NAME = {"instanceName": "my-instance"}
BY_ID = {"instanceId": _INSTANCE_ID}
LATER = {"instanceName": "my-instance", "notBefore": "2026-12-24T08:00:00-03:00"}
DRY_RUN = {"instanceName": "my-instance", "dryRun": True}
MANY = {"instanceNames": ["my-instance", "my-other-instance"]}
RESUME: dict[str, Any] = {}
RESUME_WITHOUT = {"withoutGateway": ["http://evolution-2:8080"]}

DELETED = {"status": "SUCCESS", "error": False, "response": {"message": "Instance deleted"}}
LOGGED_OUT = {"status": "SUCCESS", "error": False, "response": {"message": "Instance logged out"}}
PENDING = {
    "status": "PENDING",
    "error": False,
    "response": {"message": "Instance deletion in progress", "deletionId": DELETION_ID},
}
SCHEDULED = {
    "status": "PENDING",
    "error": False,
    "response": {
        "message": "Instance deletion scheduled",
        "deletionId": DELETION_ID,
        "notBefore": "2026-12-02T08:00:00Z",
    },
}
UNKNOWN = {"error": True, "message": 'The "my-instance" instance does not exist'}
FAILED = {
    "error": True,
    "message": "gateway http://evolution:8080 does not accept the global key",
    "deletionId": DELETION_ID,
}
PREVIEW = {
    "instanceId": _INSTANCE_ID,
    "instanceName": "my-instance",
    "planned": {"purge_cache": {"keys": 12}, "delete_records": {"Message": 20000, "Instance": 1}},
    "notCovered": ['materialized views, which keep their rows until they are refreshed: "public"."daily"'],
    "notRehearsed": [],
    "warning": WARNING,
    "confirmationToken": "eyJpbnN0YW5jZSI6Ii4uLiJ9.aSWtJg.k3v0X2Jm",
}
_RESULT = {"instanceName": "my-instance", "result": "accepted", "deletionId": DELETION_ID, "reason": None}
_UNKNOWN_NAME = {"result": "unknown", "deletionId": None, "reason": 'The "my-other-instance" instance does not exist'}
BULK_ORDERED = {
    "bulkId": "1d4f8a52-6c0e-4b3a-9f7d-2e8c5b6a7f90",
    "digest": _HASH,
    "accepted": 1,
    "results": [_RESULT, {"instanceName": "my-other-instance", **_UNKNOWN_NAME}],
    "duplicates": [],
}
BULK_PREVIEW = {
    "digest": _HASH,
    "instances": 1,
    "planned": {"logout": {"sessions": 1}, "delete_records": {"Message": 20000}, "delete_files": {"files": 4}},
    "notCounted": [],
    "results": [{**_RESULT, "result": "found", "deletionId": None}],
    "duplicates": ["my-instance"],
    "warning": WARNING,
    "confirmationToken": "eyJpbnN0YW5jZSI6Ii4uLiJ9.aSWtJg.k3v0X2Jm",
}
_STEP: dict[str, Any] = {
    "name": "delete_records",
    "status": "running",
    "attempts": 1,
    "planned": {"Message": 20000, "Instance": 1},
    "removed": {"Message": 5000},
    "done": 5000,
    "total": 20001,
    "perSecond": 2500.0,
    "etaSeconds": 6.0,
    "failures": 0,
    "atLeast": False,
    "notes": {},
    "startedAt": "2026-11-25T08:00:01Z",
    "finishedAt": None,
    "error": None,
}
_WEBHOOK = {
    "target": "instance",
    "status": "pending",
    "tries": 2,
    "nextTryAt": "2026-11-25T08:01:01Z",
    "endedAt": None,
    "error": "status 502",
}
DELETION: dict[str, Any] = {
    "id": DELETION_ID,
    "instanceId": _INSTANCE_ID,
    "instanceName": "my-instance",
    "bulkId": None,
    "status": "running",
    "attempt": 1,
    "acceptedAt": "2026-11-25T08:00:00Z",
    "notBefore": None,
    "startedAt": "2026-11-25T08:00:00Z",
    "irrevocableAt": "2026-11-25T08:00:01Z",
    "finishedAt": None,
    "failedAt": None,
    "nextAttemptAt": None,
    "nextLookAt": None,
    "cameBack": None,
    "failedStep": None,
    "reason": None,
    "hint": None,
    "needsOperator": False,
    "withoutGateways": [],
    "exports": False,
    "archiveSha256": None,
    "webhooks": [_WEBHOOK],
    "steps": [_STEP],
}
CANCELLED = {**DELETION, "status": "cancelled", "startedAt": None, "irrevocableAt": None, "webhooks": [], "steps": []}
DELETIONS = {"deletions": [DELETION], "next": None}
RECEIPT = {
    "receipt": {"kind": "lethe-receipt", "deletionId": DELETION_ID, "instanceName": "my-instance"},
    "algorithm": "Ed25519",
    "keyId": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
    "signature": "3q2-7w",
}
ATTESTATION = {
    "attestation": {
        "kind": "lethe.attestation.v1",
        "deletionId": DELETION_ID,
        "instanceId": _INSTANCE_ID,
        "receipt": {"sha256": _HASH, "finishedAt": "2026-11-25T08:00:09.120+00:00"},
        "at": "2026-12-25T08:00:00.031+00:00",
        "stores": ["rows", "files", "keys", "gateways"],
        "byNameToo": True,
        "instanceExists": False,
        "found": 0,
        "findings": [],
        "notCovered": [],
    },
    "algorithm": "Ed25519",
    "keyId": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
    "signature": "3q2-7w",
}
KEYS = {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}
AUDIT = {
    "lines": [
        {
            "seq": 17,
            "at": "2026-11-25T08:00:00Z",
            "action": "delete",
            "decision": "accepted",
            "role": "admin",
            "keyId": "bootstrap",
            "address": "10.0.0.7",
            "userAgent": "curl/8.5.0",
            "requestId": "9f2c1b7e4d6a4c0f8f1f4f0b2d3c5a6e",
            "instanceId": _INSTANCE_ID,
            "deletionId": DELETION_ID,
            "reason": None,
            "times": 1,
            "previous": _HASH,
            "hash": _HASH[::-1],
        }
    ],
    "next": None,
}
LIVE = {"status": "ok", "checks": {"process": "ok"}}
READY = {"status": "ok", "checks": {"own_database": "ok", "tenant_database": "ok", "redis": "ok", "broker": "ok"}}
NOT_READY = {
    "status": "unavailable",
    "checks": {**READY["checks"], "redis": "cannot be reached: ConnectionError"},  # type: ignore[dict-item]
}
