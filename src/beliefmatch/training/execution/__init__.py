"""Execution: how rounds are done. One file per way, all behind one interface, and the choice between them."""
