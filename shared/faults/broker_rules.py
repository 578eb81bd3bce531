"""The rules of Evolution's message brokers: RabbitMQ, SQS and Kafka."""

from shared.faults.kinds import Kind, Rule, Server

_AMQP, _SQS, _KAFKA = Server.RABBITMQ, Server.SQS, Server.KAFKA
RULES = (
    Rule(
        _AMQP,
        ("AWAY", "CONNECTION_FORCED"),
        Kind.AWAY,
        "no connection, or the server stops",
        "Start the server, or correct LETHE_RABBITMQ_URL.",
        own="Start the server, or correct LETHE_BROKER_URL.",
    ),
    Rule(
        _AMQP,
        ("INTERNAL_ERROR", "RESOURCE_LOCKED", "UNAVAILABLE"),
        Kind.BUSY,
        "a virtual host or a queue's node is down, or another connection holds the queue",
        "`rabbitmqctl cluster_status` and `list_queues name state` say which.",
    ),
    Rule(
        _AMQP,
        ("CONNECTION_LIMIT",),
        Kind.BUSY,
        "no more connections are allowed",
        "Raise the limit: `rabbitmqctl set_vhost_limits` or `set_user_limits`.",
    ),
    Rule(
        _AMQP,
        ("ACCESS_REFUSED",),
        Kind.FAILS,
        "it does not accept the user, or the user lacks a right",
        "Correct LETHE_RABBITMQ_URL, or give the user `configure` on the queues and exchanges of the instances.",
        own="Correct LETHE_BROKER_URL, or give the user all permissions in its virtual host.",
    ),
    Rule(
        _AMQP,
        ("NOT_ALLOWED",),
        Kind.FAILS,
        "the virtual host is not there, or not for this user",
        "LETHE_RABBITMQ_URL has to end with Evolution's virtual host, in which the user needs permissions.",
        own="LETHE_BROKER_URL has to end with a virtual host in which the user has permissions.",
    ),
    Rule(_AMQP, ("NOT_IMPLEMENTED", "COMMAND_INVALID", "SYNTAX_ERROR"), Kind.FAILS, "it does not know the call"),
    Rule(_AMQP, ("",), Kind.TRIED_AGAIN, "anything else"),
    Rule(_SQS, ("AWAY",), Kind.AWAY, "no connection, or no answer in time", "Correct LETHE_SQS_ENDPOINT or _REGION."),
    Rule(
        _SQS,
        ("RequestThrottled", "ThrottlingException", "Throttling", "ServiceUnavailable", "503", "RequestTimeTooSkewed"),
        Kind.BUSY,
        "the server is busy, or its clock is another",
    ),
    Rule(
        _SQS,
        (
            "AccessDenied",
            "AccessDeniedException",
            "403",
            "InvalidClientTokenId",
            "SignatureDoesNotMatch",
            "UnrecognizedClientException",
            "ExpiredToken",
        ),
        Kind.FAILS,
        "the key is not accepted, or lacks a right",
        "Correct LETHE_SQS_ACCESS_KEY, or grant sqs:ListQueues and sqs:DeleteQueue.",
    ),
    Rule(
        _SQS,
        ("InvalidAction", "UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation", "404"),
        Kind.FAILS,
        "the server does not know the call",
        "Is LETHE_SQS_ENDPOINT that of an SQS server, and LETHE_SQS_REGION right?",
    ),
    Rule(_SQS, ("",), Kind.TRIED_AGAIN, "anything else"),
    Rule(
        _KAFKA,
        ("_TRANSPORT", "_ALL_BROKERS_DOWN", "_TIMED_OUT", "_RESOLVE", "_SSL"),
        Kind.AWAY,
        "no connection, or no answer in time",
        "Start the brokers, or correct LETHE_KAFKA_URL; the addresses that they tell clients (advertised.listeners)"
        " have to lead to them from here too.",
    ),
    Rule(
        _KAFKA,
        (
            "REQUEST_TIMED_OUT",
            "NOT_CONTROLLER",
            "BROKER_NOT_AVAILABLE",
            "LEADER_NOT_AVAILABLE",
            "NETWORK_EXCEPTION",
            "THROTTLING_QUOTA_EXCEEDED",
            "KAFKA_STORAGE_ERROR",
        ),
        Kind.BUSY,
        "a broker starts, is busy, or is not the controller any more",
    ),
    Rule(
        _KAFKA,
        (
            "TOPIC_AUTHORIZATION_FAILED",
            "CLUSTER_AUTHORIZATION_FAILED",
            "_AUTHENTICATION",
            "SASL_AUTHENTICATION_FAILED",
            "UNSUPPORTED_SASL_MECHANISM",
            "ILLEGAL_SASL_STATE",
        ),
        Kind.FAILS,
        "it does not accept the user, or the user lacks a right",
        "Correct LETHE_KAFKA_URL, or let the user Describe and Delete the topics whose names begin with the prefix"
        " (LETHE_KAFKA_TOPIC_PREFIX).",
    ),
    Rule(
        _KAFKA,
        ("TOPIC_DELETION_DISABLED", "INVALID_REQUEST", "POLICY_VIOLATION"),
        Kind.FAILS,
        "the brokers delete no topics",
        "Set delete.topic.enable=true on the brokers.",
    ),
    Rule(
        _KAFKA,
        ("UNSUPPORTED_VERSION", "_UNSUPPORTED_FEATURE", "_INVALID_ARG"),
        Kind.FAILS,
        "it does not know the call, or the settings make a wrong one",
        "Is LETHE_KAFKA_URL that of a Kafka, 2.0 or newer?",
    ),
    Rule(_KAFKA, ("",), Kind.TRIED_AGAIN, "anything else"),
)
