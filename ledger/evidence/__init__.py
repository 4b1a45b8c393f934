"""Evidence of calls: the steps of a call, and the leaf and the record made from them. Pure."""
