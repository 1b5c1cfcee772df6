"""Judges that no one here wrote: Slack's own models and types, Letta's own client."""
