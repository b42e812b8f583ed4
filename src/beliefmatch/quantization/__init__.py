"""8-bit networks without data: calibrated on inputs that are made, and checked like every export."""
