"""Objectives: what the student should match on its inputs. One file per method."""
