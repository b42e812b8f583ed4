"""What a run leaves: names of its files, reading and writing them. Nothing here imports torch."""
