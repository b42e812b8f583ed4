"""One self-contained page about one run or several, from their folders alone, without torch."""
