"""Every error code: what it means, who can mend it, what to do about it."""
