// Slack's own markup, as it stands in `mrkdwn` text objects.
// https://docs.slack.dev/messaging/formatting-message-text

import { codeBlock, inlineCode } from "./code.js";
import { moment } from "./dates.js";
import { link, make, safe, several, unescaped } from "./making.js";
import { EMOJI, emoji } from "./emoji.js";

const MARKS = { "*": "strong", _: "em", "~": "s" };
const WORD = /[\p{L}\p{N}]/u;
const SKIPPED = /^(?:`[^`\n]+`|<[^<>\n]+>|:[a-z0-9_+'-]+:)/;
const BARE = /^https?:\/\/[^\s<>|]+/;

/** Returns a text with Slack's markup as nodes. */
export function mrkdwn(text, context) {
  const parts = fences(String(text ?? ""));
  return several(parts.map(([fenced, words]) => (fenced ? codeBlock(unescaped(words)) : lines(words, context))));
}

/** Returns the parts of a text, each with whether it stands between two fences; one that is never closed is text. */
function fences(text) {
  const found = [];
  let from = 0;
  for (const fence of text.matchAll(/```([\s\S]+?)```\n?/g)) {
    if (fence.index > from) found.push([false, text.slice(from, fence.index).replace(/\n$/, "")]);
    found.push([true, fence[1].replace(/^\n|\n$/g, "")]);
    from = fence.index + fence[0].length;
  }
  if (from < text.length || !found.length) found.push([false, text.slice(from)]);
  return found;
}

function lines(text, context) {
  const fragment = document.createDocumentFragment();
  let quote = null;
  let first = true;
  const all = text.split("\n");
  for (let at = 0; at < all.length; at += 1) {
    const quoted = /^(?:&gt;|>){1} ?/.exec(all[at]);
    if (/^(?:&gt;|>){3}/.test(all[at])) {
      const rest = [all[at].replace(/^(?:&gt;|>){3} ?/, ""), ...all.slice(at + 1)].join("\n");
      fragment.append(make("blockquote", { class: "bk-quote" }, ...inline(rest, context)));
      return fragment;
    }
    if (quoted) {
      if (quote) quote.append("\n");
      else fragment.append((quote = make("blockquote", { class: "bk-quote" })));
      quote.append(...inline(all[at].slice(quoted[0].length), context));
    } else {
      if (!first && !quote) fragment.append("\n");
      quote = null;
      fragment.append(...inline(all[at], context));
    }
    first = false;
  }
  return fragment;
}

/** Returns the nodes of what stands within a line. */
export function inline(text, context) {
  const nodes = [];
  let plain = "";
  const flush = () => {
    if (plain) nodes.push(document.createTextNode(unescaped(plain)));
    plain = "";
  };
  for (let at = 0; at < text.length; ) {
    const found = starting(text, at, context);
    if (found) {
      flush();
      nodes.push(found.node);
      at += found.length;
    } else {
      plain += text[at];
      at += 1;
    }
  }
  flush();
  return nodes;
}

function starting(text, at, context) {
  const sign = text[at];
  if (sign === "`") return coded(text, at, context);
  if (sign === "<") return angled(text, at, context);
  if (sign === ":") return named(text.slice(at));
  if (MARKS[sign]) return marked(text, at, context);
  if (sign === "h" && !WORD.test(text[at - 1] ?? " ")) return bare(text.slice(at));
  return null;
}

function coded(text, at, context) {
  const found = /^`([^`\n]+)`/.exec(text.slice(at));
  if (!found) return null;
  return { node: inlineCode(...within(found[1], context)), length: found[0].length };
}

// In code only what Slack itself puts into angle brackets has a meaning.
function within(text, context) {
  return text.split(/(<[^<>\n]+>)/).map((part) => {
    const found = part.startsWith("<") ? angled(part, 0, context) : null;
    return found ? found.node : unescaped(part);
  });
}

function named(rest) {
  const found = EMOJI.exec(rest);
  const node = found?.index === 0 ? emoji(found[1]) : null;
  return node ? { node, length: found[0].length } : null;
}

function bare(rest) {
  const found = BARE.exec(rest);
  const address = found?.[0].replace(/(?:[.,;:!?)'"*_~`]|&gt;|&lt;)+$/, "");
  return address && safe(unescaped(address)) ? { node: link(unescaped(address)), length: address.length } : null;
}

function marked(text, at, context) {
  const end = closing(text, at);
  if (end < 0) return null;
  const node = make(MARKS[text[at]], {}, ...inline(text.slice(at + 1, end), context));
  return { node, length: end - at + 1 };
}

/** Returns where a mark that opens here is closed on its line: outside of words, code and angle brackets. */
function closing(text, at) {
  const sign = text[at];
  if (WORD.test(text[at - 1] ?? " ") || /[\s]/.test(text[at + 1] ?? " ") || text[at + 1] === sign) return -1;
  for (let end = at + 1; end < text.length && text[end] !== "\n"; end += 1) {
    const skipped = /[`<:]/.test(text[end]) ? SKIPPED.exec(text.slice(end, end + 2000)) : null;
    if (skipped) end += skipped[0].length - 1;
    else if (text[end] === sign && !/\s/.test(text[end - 1]) && !WORD.test(text[end + 1] ?? " ")) return end;
  }
  return -1;
}

/** Returns what an angle bracket begins: a mention, a date, a link; null where it begins nothing. */
export function angled(text, at, context) {
  const found = /^<([^<>\n]+)>/.exec(text.slice(at));
  if (!found) return null;
  const [target, ...rest] = found[1].split("|");
  const label = rest.length ? rest.join("|") : null;
  const node = meant(target, label, context);
  return node ? { node, length: found[0].length } : null;
}

function meant(target, label, context) {
  if (/^@[A-Z0-9]+$/.test(target)) return person(target.slice(1), context, label);
  if (/^#[A-Z0-9]+$/.test(target)) return channel(target.slice(1), context, label);
  if (target.startsWith("!")) return special(target.slice(1), label, context);
  const address = unescaped(target);
  return safe(address) ? link(address, ...(label ? within(label, context) : [address.replace(/^mailto:/, "")])) : null;
}

function special(target, label, context) {
  const [name, ...rest] = target.split("^");
  if (name === "date" && rest.length >= 2) return moment(rest[0], unescaped(rest[1]), unescaped(label ?? ""), rest[2] && unescaped(rest[2]));
  if (name === "subteam") return group(rest[0], context, label);
  if (["channel", "here", "everyone"].includes(name)) return broadcast(name);
  return label ? document.createTextNode(unescaped(label)) : null;
}

/** Returns the mention of a person. */
export function person(id, context, label) {
  const known = context.person?.(id);
  const name = known ? known.real_name || known.name : label && unescaped(label).replace(/^@/, "");
  return mention(`@${name || id}`, id === context.me, known ? `${known.real_name} (${known.name})` : id);
}

/** Returns the mention of a user group. */
export function group(id, context, label) {
  return mention(`@${label ? unescaped(label).replace(/^@/, "") : id}`, false, `user group ${id}`);
}

/** Returns the mention of a channel. */
export function channel(id, context, label) {
  const known = context.channel?.(id);
  return mention(`#${known?.name || (label && unescaped(label)) || id}`, false, known ? null : id);
}

/** Returns the mention of everybody in a place. */
export function broadcast(range) {
  return mention(`@${range}`, true, null);
}

function mention(words, isMe, title) {
  return make("span", { class: isMe ? "bk-mention bk-me" : "bk-mention", title }, words);
}
