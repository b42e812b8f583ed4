"""Where networks come from that are not built in. One file per origin; none imports another's."""
