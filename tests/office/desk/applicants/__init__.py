"""Tests of the applications that applicants send in themselves."""
