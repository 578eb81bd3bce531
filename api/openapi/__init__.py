"""The OpenAPI document: schemas, examples, responses, and its page. Endpoints and console import it; it imports no
endpoint and changes nothing."""
