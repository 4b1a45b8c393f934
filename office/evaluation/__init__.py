"""The association's part of the evaluation of members: figures, observations, results and badges."""
