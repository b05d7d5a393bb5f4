"""Studies: what is done with data and networks, and the records of what came out."""
