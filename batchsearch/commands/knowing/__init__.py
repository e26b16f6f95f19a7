"""Commands that explain: columns, codes, events, and how a shell completes."""
