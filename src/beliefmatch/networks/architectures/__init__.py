"""Architectures of the literature, one file each."""
