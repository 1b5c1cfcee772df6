// What the box offers while one types: commands and their words after "/", people after "@".

import { described } from "./words.js";

/**
 * Returns what can be completed at the caret, null where nothing: `{from, to, items, eager}`; an item is
 * `{label, more, insert}`, and `eager` says that Enter takes the first one without choosing.
 */
export function offers(text, caret, { commands, people }) {
  const before = text.slice(0, caret);
  return slash(text, before, commands) ?? mention(before, people);
}

function slash(text, before, commands) {
  if (!text.startsWith("/") || before.includes("\n")) return null;
  if (!before.includes(" ")) {
    const items = commands.filter((one) => one.command.startsWith(before) && one.command !== text.trim()).map((one) => ({
      label: one.command, more: [one.usage, one.about].filter(Boolean).join(" — "), insert: `${one.command} `,
    }));
    return found(0, before.length, items, true);
  }
  const command = commands.find((one) => before.startsWith(`${one.command} `));
  if (!command) return null;
  const from = command.command.length + 1;
  const typed = before.slice(from).toLowerCase();
  const items = command.words.filter((words) => fixed(words).startsWith(typed) && fixed(words).trim() !== typed).map((words) => ({
    label: `${command.command} ${words}`, more: "", insert: fixed(words),
  }));
  return found(from, before.length, items, false);
}

/** Returns the part of "approve CODE" that is typed as it is: what is in capitals or brackets is for the person. */
function fixed(words) {
  const parts = words.split(" ");
  const end = parts.findIndex((part) => /^[A-Z[<…"“]/.test(part));
  return end < 0 ? words : `${parts.slice(0, end).join(" ")} `;
}

function mention(before, people) {
  const at = /(^|[\s(])@(\w*)$/.exec(before);
  if (!at) return null;
  const typed = at[2].toLowerCase();
  const fits = (one) => one.name.toLowerCase().startsWith(typed) || one.real_name.toLowerCase().startsWith(typed);
  const items = people.filter((one) => !one.deleted && fits(one)).map((one) => ({
    label: `@${one.name}`, more: described(one), insert: `@${one.name} `,
  }));
  return found(before.length - typed.length - 1, before.length, items, true);
}

function found(from, to, items, eager) {
  return items.length ? { from, to, items, eager } : null;
}
