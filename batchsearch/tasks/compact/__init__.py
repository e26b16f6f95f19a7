"""The parts of an output merged into fewer."""
