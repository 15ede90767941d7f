"""The database: engine, tables, and one module of statements for each table. Nothing here commits."""
