// One message, as everybody or only one person sees it.

import { blocks } from "./blocks.js";
import { make } from "./making.js";
import { mrkdwn } from "./mrkdwn.js";
import { clock, counted, fullTime, moment, tint } from "./words.js";

/** Returns the square with somebody's initials. */
export function avatar(person, small = false) {
  const size = small ? " small" : "";
  if (person?.is_bot) return make("span", { class: `avatar app${size}`, "aria-hidden": "true" }, make("span", {}, "✓"));
  const name = person?.real_name ?? "Slackbot";
  return make("span", { class: `avatar ${tint(person?.id ?? "")}${size}`, "aria-hidden": "true" }, initials(name));
}

function initials(name) {
  const words = name.split(/\s+/).filter(Boolean);
  return (words.length > 1 ? words[0][0] + words.at(-1)[0] : name.slice(0, 1)).toUpperCase();
}

/**
 * Returns a message. `follows` tells that its author wrote the one before: then the name is not said again;
 * `replies` are those of its thread, shown as a bar where `open` opens it.
 */
export function message(one, { store, act, follows = false, replies = [], status = "", open = null, dismiss = null }) {
  const whisper = one.kind === "whisper";
  const person = one.user === "USLACKBOT" ? { id: "USLACKBOT", real_name: "Slackbot", kind: "" } : store.person(one.user || store.page.app);
  const classes = ["message", whisper && "whisper", follows && "follows", one.streaming && "streaming"];
  return make(
    "article",
    { class: classes.filter(Boolean).join(" "), "data-ts": one.ts, "aria-label": `${person?.real_name ?? one.user}, ${clock(one.ts)}` },
    make("div", { class: "gutter" }, follows ? time(one.ts) : avatar(person)),
    make(
      "div",
      { class: "said" },
      whisper ? onlyYou(dismiss) : null,
      follows ? null : byline(person, one),
      body(one, { store, act }),
      replies.length || status ? bar(one, replies, status, { store, open }) : null,
    ),
    open && !whisper ? replyButton(open) : null,
  );
}

function onlyYou(dismiss) {
  const away = dismiss ? make("button", { type: "button", class: "linklike", onclick: dismiss }, "Dismiss") : null;
  return make("div", { class: "only-you" }, make("span", { "aria-hidden": "true" }, "👁 "), "Only visible to you", away ? " · " : null, away);
}

function byline(person, one) {
  const badge = person?.is_bot ? make("span", { class: "badge" }, "APP") : null;
  const away = person?.kind?.startsWith("from ") ? make("span", { class: "badge" }, "EXTERNAL") : null;
  return make("div", { class: "byline" }, make("strong", {}, person?.real_name ?? one.user), badge, away, time(one.ts));
}

function time(ts) {
  return make("time", { class: "at", datetime: moment(ts).toISOString(), title: fullTime(ts) }, clock(ts));
}

/** Returns the function that blocks and texts of a message are shown with. */
export function contextOf(store, more) {
  return {
    me: store.me,
    person: (id) => store.person(id),
    channel: (id) => store.channel(id),
    people: store.people.filter((one) => !one.is_bot && !one.deleted),
    channels: store.channels.filter((one) => !one.is_im),
    filled: {},
    errors: {},
    act: async () => undefined,
    ...more,
  };
}

function body(one, { store, act }) {
  const context = contextOf(store, { surface: "message", act: (block, element, value) => act(one, block, element, value) });
  const said = make("div", { class: "body" });
  if (one.blocks.length) said.append(blocks(one.blocks, context));
  else said.append(make("div", { class: "text" }, mrkdwn(one.text, context), one.edited ? make("span", { class: "edited" }, " (edited)") : null));
  for (const file of one.files ?? []) {
    said.append(make("div", { class: "file" }, make("strong", {}, file.name), ` ${counted(file.size, "byte", "bytes")}`));
  }
  return said;
}

function bar(one, replies, status, { store, open }) {
  const who = [...new Set(replies.map((reply) => reply.user))].slice(0, 4);
  const words = counted(replies.length, "reply", "replies");
  return make(
    "div",
    { class: "under" },
    replies.length
      ? make(
          "button",
          { type: "button", class: "replies", onclick: open },
          who.map((id) => avatar(store.person(id), true)),
          make("span", { class: "linklike" }, words),
          make("span", { class: "at" }, `Last reply ${clock(replies.at(-1).ts)}`),
        )
      : null,
    status ? working(store, status) : null,
  );
}

/** Returns the line that says what the app is at. */
export function working(store, status) {
  const dots = make("span", { class: "dots", "aria-hidden": "true" }, make("i"), make("i"), make("i"));
  return make("span", { class: "working" }, dots, `${store.app.real_name} ${status}`);
}

function replyButton(open) {
  return make("div", { class: "tools" }, make("button", { type: "button", onclick: open }, "Reply in thread"));
}
