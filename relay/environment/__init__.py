"""The environment door: what Letta's wire means, and the sockets and requests that carry it."""
