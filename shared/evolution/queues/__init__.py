"""Queues that Evolution named after an instance, in RabbitMQ or SQS. Steps may import it; it imports no other store,
and never touches the broker of Lethe's own messages."""
