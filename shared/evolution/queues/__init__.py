"""Queues and topics that Evolution named after an instance, in RabbitMQ, SQS or Kafka. Steps may import it; it imports
no other store, and never touches the broker of Lethe's own messages."""
