"""`batchsearch` as a child process of a scheduler: its command line, its lines, its end, what that means."""
