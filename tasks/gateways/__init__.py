"""What steps need to know of Evolution's servers: whether they acknowledged, and through which channels they send
events. Steps and the worker import it; it changes no deletion."""
