"""Submissions that applicants send by the desk's public page. The office has not examined them yet."""
