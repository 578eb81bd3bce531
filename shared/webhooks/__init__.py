"""The INSTANCE_DELETE webhook: its events, the outbox that keeps them, and their delivery. Deletions, steps and the
worker may import it; it calls the receivers of webhooks, and no gateway."""
