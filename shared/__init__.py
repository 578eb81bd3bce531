"""What both sides need: settings, stores, the state machine."""
