"""Other servers whose answers we pass on to browsers: the search server, OpenML's reads and files, dashboards."""
