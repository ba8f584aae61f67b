"""The only importer of pyiceberg: catalogues, tables and their commits, as the rest of the lake sees them."""
