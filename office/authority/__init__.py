"""The association's work on its registry: applications, licences, suspensions, signatures and publication."""
