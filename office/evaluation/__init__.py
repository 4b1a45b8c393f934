"""The association's part in the evaluation of good operators: figures at the desk, observations, results and badges."""
