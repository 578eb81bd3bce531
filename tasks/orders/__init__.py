"""Orders, one module each: delete (also preview and log out), schedule (also run now), resume (also cancel), replay.
API and command line import it; it accepts and publishes deletions, and runs no step of one."""
