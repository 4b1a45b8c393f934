"""The association's side of the evaluation of good operators: figures at the desk, observations, results, badges."""
