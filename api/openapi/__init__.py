"""The OpenAPI document: schemas, examples, responses, and the page that shows it. Endpoints and console import it;
it imports no endpoint and changes nothing."""
