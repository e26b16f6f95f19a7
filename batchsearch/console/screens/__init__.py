"""The pages of the console, a module for each screen: what was asked by the browser becomes HTML."""
