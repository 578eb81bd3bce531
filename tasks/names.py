"""The names of the steps in their order, for processes that run none."""

IN_ORDER = ("logout", "purge_cache", "send_webhook", "deregister", "delete_records", "delete_files", "confirm")
