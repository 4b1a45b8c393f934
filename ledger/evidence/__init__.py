"""What happened on a call, as steps; the leaf and the record that steps make. Pure."""
