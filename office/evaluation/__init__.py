"""The association's part of member evaluation: figures, observations, results and badges."""
