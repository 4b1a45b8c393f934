"""The report desk (申告窓口): reports, the search for the member that held the number, and members' answers."""
