"""What a person typed, out of what Slack makes of it."""

import pytest

from relay.slack.typed import mentions, typed, without_mention

APP = "U0RELAY"


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ("plain words", "plain words"),
        ("1 &lt; 2 &amp;&amp; 3 &gt; 2", "1 < 2 && 3 > 2"),
        ("<https://a.example/x?a=1&amp;b=2>", "https://a.example/x?a=1&b=2"),
        ("<https://a.example|https://a.example>", "https://a.example"),
        ("<http://a.example|a.example>", "a.example"),
        ("<https://a.example|the docs>", "the docs (https://a.example)"),
        ("<mailto:ada@a.example|ada@a.example>", "ada@a.example"),
        ("<#C0OPS|ops>", "#ops"),
        ("<#C0OPS>", "<#C0OPS>"),
        ("<!here>", "@here"),
        ("<!subteam^S0LEADS|@leads>", "@leads"),
        ("ask <@U0GRACE>", "ask <@U0GRACE>"),
        ("&lt;https://typed.example&gt;", "<https://typed.example>"),
    ],
)
def test_words_are_read_as_they_were_typed(sent: str, words: str) -> None:
    assert typed(sent) == words


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ("<@U0RELAY> build it", "build it"),
        ("<@U0RELAY|relay>: build it", "build it"),
        ("hey <@U0RELAY>, build it", "hey build it"),
        ("build it <@U0RELAY>", "build it"),
        ("<@U0RELAY>\nbuild\n  it", "build\n  it"),
        ("<@U0RELAY>", ""),
        ("<@U0RELAYX> build it", "<@U0RELAYX> build it"),
    ],
)
def test_the_mention_of_the_app_is_left_out(sent: str, words: str) -> None:
    assert without_mention(sent, APP) == words


def test_only_the_apps_own_mention_counts() -> None:
    assert mentions("<@U0RELAY> hi", APP)
    assert not mentions("<@U0RELAYX> hi", APP)
    assert not mentions("&lt;@U0RELAY&gt; hi", APP)
