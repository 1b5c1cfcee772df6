"""The Slack door: commands and clicks in, cards and replies out."""
