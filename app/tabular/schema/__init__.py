"""Names and types of a table's columns: inferred from the cells, or declared by the owner."""
