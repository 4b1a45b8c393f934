"""The association's side of the evaluation of good operators: figures at the desk, assessments, results, badges."""
