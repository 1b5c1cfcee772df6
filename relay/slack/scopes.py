"""What the app has to be allowed to do in Slack: the bot scopes of manifest.yml, and what for.

They stand here a second time because the manifest is no part of the installed package; a test holds
the two together.
"""

BOT_SCOPES = {
    "commands": "the slash command",
    "chat:write": "cards, threads and private answers",
    "users:read": "who is a guest, deactivated, or of another workspace",
    "usergroups:read": "who is in a user group that a rule names",
    "channels:read": "whether another workspace reads a channel, and who is in it",
    "groups:read": "the same for private channels",
    "mpim:read": "the same for group conversations",
    "channels:history": "replies in the agent's threads",
    "groups:history": "replies in threads of private channels",
    "mpim:history": "replies in threads of group conversations",
    "im:history": "direct messages to the app",
    "app_mentions:read": "mentions of the app",
    "files:read": "the text files that people attach",
}
