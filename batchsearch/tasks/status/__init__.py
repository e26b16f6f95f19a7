"""How the run of an output folder stands."""
