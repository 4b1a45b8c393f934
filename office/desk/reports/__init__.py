"""The report desk (申告窓口): reports about calls, the search for the number's holder, and members' answers."""
