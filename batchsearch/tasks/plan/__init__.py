"""What a job would take: calls, hours, bytes and money, found out without a call."""
