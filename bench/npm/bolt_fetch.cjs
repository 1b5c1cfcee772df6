// Contestant: Bolt for JavaScript with its defaults, and fetch after the acknowledgement; nothing is stored.
'use strict';

const { App } = require('@slack/bolt');

const { env } = process;
const address = `${env.LETTA_BASE_URL}/v1/environments/${env.LETTA_CONNECTION_ID}/messages`;
const headers = { authorization: `Bearer ${env.LETTA_API_KEY}`, 'content-type': 'application/json' };

const app = new App({
  token: env.SLACK_BOT_TOKEN,
  signingSecret: env.SLACK_SIGNING_SECRET,
  clientOptions: { slackApiUrl: env.SLACK_API_URL },
});

app.command('/letta', async ({ ack, command }) => {
  await ack('Queued');
  const message = { client_message_id: command.trigger_id, role: 'user', content: command.text };
  const body = { messages: [message], agentId: env.LETTA_AGENT_ID, conversationId: command.channel_id };
  const answer = await fetch(address, { method: 'POST', headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`the environment answered ${answer.status}`);
  await answer.text();
});

app.start({ port: 0, host: '127.0.0.1' }).then((server) => {
  console.log(JSON.stringify({ event: 'serving', port: server.address().port }));
});
