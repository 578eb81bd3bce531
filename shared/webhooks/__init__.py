"""The INSTANCE_DELETE webhook and what the operator is told: the events, the outbox that keeps them, their delivery.
Deletions, steps, receipts and the worker may import it; it calls the receivers of webhooks, and no gateway."""
