"""Orders, one module each: delete (also preview and log out), resume (also cancel), replay. API and command line
import it; it accepts and publishes deletions, and runs no step of one."""
