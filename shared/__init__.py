"""What API, worker and command line share: settings, stores, the state machine, each in a room of its own. All
packages may import it; it imports none of them."""
