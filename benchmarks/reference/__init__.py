"""Yardsticks: slow loops and naive rounds that fast ones are compared with, and small transfers to compare them on."""
