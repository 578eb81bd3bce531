"""What every request goes through: API key, confirmation, rate limit, audit, errors. Endpoints and console import
it; it imports no endpoint."""
