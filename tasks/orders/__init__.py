"""What can be ordered, one module for each: delete, resume, cancel, log out, replay. API and command line import it;
it accepts orders and publishes them, and runs no step of a deletion."""
