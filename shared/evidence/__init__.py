"""What proves a deletion to a stranger: attestations, signed heads of the audit, and the bundle of all. API, command
line, worker and tasks may import it; it reads receipts and the audit, and looks into no store of Evolution."""
