"""The report desk (申告窓口): reports, the search for the holder of the number, and members' answers."""
