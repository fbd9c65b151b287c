"""The distribution API as the specification says it, row by row, against a whole node without any registry."""
