"""Asks Slack, before anybody depends on it, whether it would let a relay do its work; posts nothing."""
