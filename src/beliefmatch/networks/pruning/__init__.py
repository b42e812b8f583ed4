"""Smaller networks made from a trained one: with fewer channels, or without some of its blocks."""
