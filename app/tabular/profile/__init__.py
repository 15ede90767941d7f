"""What a table would be published as, with statistics and possible types of each column."""
