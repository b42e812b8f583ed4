"""Training a student: settings, the loop, its checkpoints, and a run from start to result."""
