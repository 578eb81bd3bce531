"""Time stamps (RFC 3161) of receipts, attestations and heads of the audit: asked for later, verified, and stored.
Receipts and all rooms above may import it; it knows neither deletions nor receipts."""
