"""The brake marks, slows and stops lines, trunks, customers and numbers that make unusual calls."""
