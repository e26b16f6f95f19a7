"""What the pages for people share: times as people say them, failures, next steps, the terminal."""
