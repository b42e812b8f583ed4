"""What is measured on images that training never saw."""
