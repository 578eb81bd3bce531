"""Who may do what, and how a deletion is confirmed: API keys, roles, one-time codes. All packages may import it; it
imports only the own database, and knows neither deletions nor HTTP."""
