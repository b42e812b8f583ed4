"""The one loop, its checkpoints and the folder that a run leaves."""
