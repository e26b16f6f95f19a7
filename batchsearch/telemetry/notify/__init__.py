"""Somebody is told how a run ended: a webhook, by one POST of JSON."""
