"""The transfer from files to files, one or many."""
