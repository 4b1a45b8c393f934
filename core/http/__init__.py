"""What servers and clients over HTTP share: limits, guards of connections, deadlines."""
