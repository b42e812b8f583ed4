"""Networks: the architectures of the literature, how to load any, what they cost, and taps on their activations."""
