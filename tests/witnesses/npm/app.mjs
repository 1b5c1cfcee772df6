// A small Slack app as people write it with npm @slack/bolt: the witness for the stand-in Slack.
// tests/sandbox/foreign_clients.py has the same app in Python; tests/sandbox/test_foreign_clients.py runs both.
// With SLACK_APP_TOKEN it uses Socket Mode, without it HTTP on a free port, which it prints when it is ready.
import bolt from "@slack/bolt";

const { App, LogLevel, SocketModeReceiver } = bolt;
const {
  SLACK_API_URL: slackApiUrl,
  SLACK_APP_TOKEN: appToken,
  SLACK_BOT_TOKEN: token,
  SLACK_SIGNING_SECRET: signingSecret,
} = process.env;

const clientOptions = { slackApiUrl };
const logLevel = LogLevel.ERROR;
const door = appToken
  ? {
      // After a disconnect it waits so long (5 s if nothing is said) before it comes back.
      receiver: new SocketModeReceiver({
        appToken,
        logLevel,
        clientPingTimeout: 500,
        installerOptions: { clientOptions },
      }),
    }
  : { signingSecret };
const app = new App({ token, logLevel, clientOptions, ...door });

const plain = (text) => ({ type: "plain_text", text });
const section = (text) => ({ type: "section", text: { type: "mrkdwn", text } });
const button = (action_id, text) => ({ type: "button", action_id, text: plain(text), value: "apr_1" });
const card = [
  section("Run it?"),
  { type: "actions", block_id: "decide", elements: [button("approve", "Approve"), button("reason", "Deny…")] },
];
const modal = (private_metadata) => ({
  type: "modal",
  callback_id: "deny",
  private_metadata,
  title: plain("Why not?"),
  submit: plain("Deny"),
  blocks: [
    {
      type: "input",
      block_id: "why",
      label: plain("Reason"),
      element: { type: "plain_text_input", action_id: "reason" },
    },
  ],
});

app.command("/letta", async ({ ack, client, command }) => {
  await ack({ response_type: "ephemeral", text: `Queued: ${command.text}` });
  await client.chat.postMessage({ channel: command.channel_id, text: "Run it?", blocks: card });
});

app.action("approve", async ({ ack, action, body, client, respond }) => {
  await ack();
  const text = `Approved ${action.value} by <@${body.user.id}>`;
  await client.chat.update({ channel: body.channel.id, ts: body.message.ts, text, blocks: [section(text)] });
  await respond({ response_type: "ephemeral", replace_original: false, text: "You approved it." });
});

app.action("reason", async ({ ack, body, client }) => {
  await ack();
  const place = JSON.stringify({ channel: body.channel.id, ts: body.message.ts });
  await client.views.open({ trigger_id: body.trigger_id, view: modal(place) });
});

app.view("deny", async ({ ack, client, view }) => {
  const reason = view.state.values.why.reason.value;
  if (reason === "no") {
    await ack({ response_action: "errors", errors: { why: "Say more than no." } });
    return;
  }
  await ack();
  await client.chat.update({ ...JSON.parse(view.private_metadata), text: `Denied: ${reason}`, blocks: [] });
});

app.event("app_home_opened", async ({ client, event }) => {
  const view = { type: "home", blocks: [section(`Nothing waits for <@${event.user}>.`)] };
  await client.views.publish({ user_id: event.user, view });
});

app.event("app_mention", async ({ event, say }) => {
  await say({ text: `Heard: ${event.text}`, thread_ts: event.ts });
});

app.message("hello", async ({ message, say }) => {
  await say({ text: "Hello to you.", thread_ts: message.ts });
});

const server = await app.start(...(appToken ? [] : [{ host: "127.0.0.1", port: 0 }]));
console.log(JSON.stringify({ port: appToken ? null : server.address().port }));
