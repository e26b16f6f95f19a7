"""One search from the shell: for a first look, and for scripts that need no manifest."""
