"""The rig of the damage campaigns: finished outputs of every kind, ways to spoil a file, what must hold.

`outputs` makes them, `damages` spoils a file of a copy, `trial` puts every reader and the job itself over it.
"""
