"""The state machine of deletions: accepted, claimed, counted, waited for, ended. All packages above may import it;
only its lifecycle, claims and claim_statements write a deletion's status, and it imports no store of Evolution."""
