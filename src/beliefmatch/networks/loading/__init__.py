"""Loading networks: one file for each place that they come from."""
