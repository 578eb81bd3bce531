"""The signed receipt of a deletion, the keys that sign it, and its page to print. API, command line and pipeline may
import it; it reads deletions and the audit, and changes neither."""
