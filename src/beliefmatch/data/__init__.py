"""Labelled images, for measuring only. Nothing that trains without data imports this room."""
