"""Studies of many runs: recipes compared, the paper reproduced, the demo and the toy."""
