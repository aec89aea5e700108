"""The site: what mkdocs asks for, and the pages that are made when it is built."""
