"""Students: where the smaller network comes from. One file per way."""
