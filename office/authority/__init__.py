"""The association's work on the registry: applications, licences, suspensions, signatures and publication."""
