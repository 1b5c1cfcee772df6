"""How workspaces install the app: the pages, the exchange with Slack, and the tokens that come of it."""
