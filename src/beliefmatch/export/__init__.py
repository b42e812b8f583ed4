"""Files that run elsewhere: written, loaded by a fresh process, and compared before they are left anywhere."""
