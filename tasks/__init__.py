"""What a deletion does: one module for each step, in the order of tasks.pipeline. API, worker and command line may
import it; a step imports neither them nor another step."""
