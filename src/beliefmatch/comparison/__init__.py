"""Recipes side by side: the same networks, the same wall time, several seeds, one page."""
