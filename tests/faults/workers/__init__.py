"""Workers as the Procfile starts them, with something put around their steps."""
