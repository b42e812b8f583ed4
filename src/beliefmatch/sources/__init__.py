"""Sources: where the student's inputs come from. One file per method."""
