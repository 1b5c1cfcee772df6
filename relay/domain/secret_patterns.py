"""What secrets look like: vendors' keys as detect-secrets knows them, passwords as people write them.

A module of its own, for what it takes over is a tenth of a second to import: whoever masks first imports it.
"""

import re

from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.basic_auth import BasicAuthDetector
from detect_secrets.plugins.discord import DiscordBotTokenDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.mailchimp import MailchimpDetector
from detect_secrets.plugins.npm import NpmDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.square_oauth import SquareOAuthDetector
from detect_secrets.plugins.stripe import StripeDetector
from detect_secrets.plugins.twilio import TwilioKeyDetector

# A kind, what a text has without which there is none of it, and what one looks like. By whole match:
# what a key is made of goes on for as long as its characters do.
KEYS = (
    ("AWS key", "AKIA ASIA ABIA ACCA A3T", AWSKeyDetector.denylist[0]),
    ("GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", GitHubTokenDetector.denylist[0]),
    ("Slack token", "xox XOX", SlackDetector.denylist[0]),
    ("Slack webhook", "hooks.slack.com", SlackDetector.denylist[1]),
    ("Stripe key", "k_live_", StripeDetector.denylist[0]),
    ("npm token", "npm_", re.compile(r"npm_[A-Za-z0-9]{36}")),
    ("SendGrid key", "SG.", SendGridDetector.denylist[0]),
    ("Square secret", "sq0csp-", SquareOAuthDetector.denylist[0]),
    ("Twilio key", "SK", TwilioKeyDetector.denylist[1]),
    ("Mailchimp key", "-us", MailchimpDetector.denylist[0]),
    # What detect-secrets does not know, or knows only in old forms.
    ("GitHub token", "github_pat_", re.compile(r"github_pat_\w{30,}")),
    ("GitLab token", "gl", re.compile(r"\bgl(?:pat|oas|ptt|dt|rt|cbt|ft|soat|agent|imt)-[\w-]{20,}")),
    ("Slack token", "xox xapp-", re.compile(r"\bx(?:ox[a-z]|app)-[\w.-]{20,}")),
    ("Stripe key", "k_live_ k_test_ whsec_", re.compile(r"\b(?:[rs]k_(?:live|test)|whsec)_\w{20,}")),
    ("JSON web token", "eyJ", re.compile(r"(?<![\w-])eyJ[\w-]{10,}(?:\.[\w-]*){2,4}")),
    ("Anthropic key", "sk-ant-", re.compile(r"\bsk-ant-[\w-]{20,}")),
    ("Letta key", "sk-let-", re.compile(r"\bsk-let-[\w-]{20,}")),
    ("OpenAI key", "sk-", re.compile(r"\bsk-(?!ant-|let-)(?:proj-|svcacct-|admin-)?\w[\w-]{30,}")),
    ("Google key", "AIza", re.compile(r"AIza[\w-]{35}")),
    ("Google secret", "GOCSPX- ya29.", re.compile(r"\b(?:GOCSPX-[\w-]{20,}|ya29\.[\w-]{20,})")),
    ("PyPI token", "pypi-AgE", re.compile(r"pypi-AgE[\w-]{30,}")),
    ("Hugging Face token", "hf_", re.compile(r"\bhf_[A-Za-z]{30,}")),
    ("DigitalOcean token", "_v1_", re.compile(r"\bdo[opr]_v1_[0-9a-f]{64}")),
    ("Telegram token", ":AA", re.compile(r"\b\d{8,10}:AA[\w-]{33}(?![\w-])")),
    ("Azure key", "AccountKey=", re.compile(r"(?<=AccountKey=)[A-Za-z0-9+/]{86}==")),
    ("age key", "AGE-SECRET-KEY-", re.compile(r"AGE-SECRET-KEY-1[0-9A-Z]{58}")),
    ("Discord token", ".", DiscordBotTokenDetector.denylist[0]),
)
# What people write after an option, as far as it is one word to a shell.
_ONE_WORD = r"[^\s;&|<>(){}`$\"']{3,200}"
# By group: what stands around them tells what they are. Looked for in any case where the word is small.
WITHIN = (
    ("AWS key", "aws", AWSKeyDetector.denylist[1]),
    ("npm token", "_authtoken npm", NpmDetector.denylist[0]),
    ("password", "://", BasicAuthDetector.denylist[0]),
    (
        "credentials",
        "authorization",
        re.compile(
            r"authorization[\"']?[ \t]{0,3}[:=][ \t]{0,3}[\"']?(?:bearer|token|basic|apikey)[ \t]{1,3}"
            r"([\w.~+/=-]{8,})",
            re.IGNORECASE,
        ),
    ),
    ("credentials", "bearer", re.compile(r"Bearer ([\w.~+/=-]{20,})")),
    (
        "password",
        "curl",
        re.compile(
            rf"curl\b[^\n|;&]{{0,160}}?\s(?:-u|--user)[ \t=]{{0,2}}[\"']?[^\s:\"'$]{{1,80}}:({_ONE_WORD})"
        ),
    ),
    ("password", "sshpass", re.compile(rf"sshpass[ \t]{{1,3}}-p[ \t]{{0,3}}[\"']?({_ONE_WORD})")),
    ("password", "mysql", re.compile(rf"mysql\w{{0,10}}\b[^\n|;&]{{0,160}}?\s-p({_ONE_WORD})")),
    (
        "password",
        "docker login",
        re.compile(rf"docker login\b[^\n|;&]{{0,160}}?\s-p[ \t]{{0,3}}[\"']?({_ONE_WORD})"),
    ),
    (
        "password",
        "password identified",
        re.compile(r"\b(?:password|identified by)[ \t]{1,3}'([^'\n]{3,200})'", re.IGNORECASE),
    ),
)
