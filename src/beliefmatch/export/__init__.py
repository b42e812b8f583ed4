"""Files that run elsewhere: written, answered by a fresh process, and compared before they are left anywhere."""
