// The list that opens under a button: the overflow menu, and the selects. One is open at a time.

import { fresh, make } from "./making.js";

const FILTER_FROM = 12; // options: with fewer, one sees them all
let close = null;

/**
 * Opens a list under a button and resolves when it closes.
 * `groups` are [{label, options: [{words, more, value}]}]; `chosen` is the set of values that are ticked;
 * `pick(option)` returns whether the list stays open.
 */
export function openMenu(opener, { role, groups, chosen = new Set(), label, several = false, pick }) {
  close?.();
  const list = make("div", { id: fresh("list"), role, class: "bk-list-box", "aria-label": label, "aria-multiselectable": several || null });
  const items = groups.flatMap((group) => grouped(list, group, role, chosen));
  const many = items.length >= FILTER_FROM;
  const filter = many ? make("input", { class: "bk-input bk-filter", type: "text", placeholder: "Filter", "aria-label": "Filter" }) : null;
  const box = make("div", { class: "bk-menu", popover: "manual" }, filter, list);
  // Within an open dialog everything outside of it is out of reach.
  (opener.closest("dialog") ?? document.body).append(box);
  const shown = () => items.filter(({ node }) => !node.hidden);
  const choose = (item) => {
    const stays = pick(item.option);
    for (const one of items) one.node.setAttribute("aria-selected", String(chosen.has(one.option.value)));
    if (!stays) finish(true);
  };
  const finish = (back) => {
    if (close !== finish) return;
    close = null;
    stop.abort();
    box.remove();
    opener.setAttribute("aria-expanded", "false");
    if (back) refocus(opener);
  };
  const stop = new AbortController();
  close = finish;
  opener.setAttribute("aria-expanded", "true");
  opener.setAttribute("aria-controls", list.id);
  listen(box, { items, shown, choose, finish, filter, stop, opener });
  box.showPopover();
  place(box, opener);
  (filter ?? (items.find(({ option }) => chosen.has(option.value)) ?? items[0])?.node)?.focus();
}

function grouped(list, group, role, chosen) {
  const id = group.label ? fresh("group") : null;
  const within = id ? make("div", { role: "group", "aria-labelledby": id }, make("div", { id, class: "bk-group" }, group.label)) : list;
  if (id) list.append(within);
  return group.options.map((option) => {
    const kind = role === "menu" ? "menuitem" : "option";
    const selected = role === "menu" ? null : String(chosen.has(option.value));
    const more = option.more ? make("span", { class: "bk-more-words" }, option.more) : null;
    const node = make("div", { role: kind, class: "bk-item", tabindex: "-1", "data-value": String(option.value), "aria-selected": selected }, make("span", {}, option.words), more);
    within.append(node);
    return { node, option };
  });
}

function listen(box, { items, shown, choose, finish, filter, stop, opener }) {
  const { signal } = stop;
  for (const item of items) {
    item.node.addEventListener("click", () => choose(item), { signal });
    item.node.addEventListener("pointermove", () => filter ?? item.node.focus({ preventScroll: true }), { signal });
  }
  filter?.addEventListener("input", () => {
    const sought = filter.value.trim().toLowerCase();
    for (const { node } of items) node.hidden = !node.textContent.toLowerCase().includes(sought);
  }, { signal });
  box.addEventListener("keydown", (event) => pressed(event, { shown, choose, finish, filter }), { signal });
  document.addEventListener("pointerdown", (event) => {
    if (!box.contains(event.target) && !opener.contains(event.target)) finish(false);
  }, { signal, capture: true });
  for (const happening of ["resize", "blur"]) window.addEventListener(happening, () => finish(false), { signal });
  document.addEventListener("scroll", (event) => box.contains(event.target) || place(box, opener), { signal, capture: true });
}

function pressed(event, { shown, choose, finish, filter }) {
  const there = shown();
  const at = there.findIndex(({ node }) => node === document.activeElement);
  const go = (place) => there.at(place % Math.max(there.length, 1))?.node.focus();
  const typing = document.activeElement === filter;
  const meant = {
    ArrowDown: () => go(at + 1),
    ArrowUp: () => (at === 0 && filter ? filter.focus() : go(at < 0 ? -1 : at - 1)),
    Home: () => go(0),
    End: () => go(-1),
    Escape: () => finish(true),
    Tab: () => finish(true),
    Enter: () => there[Math.max(at, 0)] && choose(there[Math.max(at, 0)]),
    " ": () => at >= 0 && choose(there[at]),
  }[event.key];
  if (meant && !(typing && [" ", "Home", "End"].includes(event.key))) {
    // The dialog or the page below shall not take the same key for its own.
    if (event.key !== "Tab") event.preventDefault();
    event.stopPropagation();
    meant();
  } else if (!filter && event.key.length === 1 && !event.ctrlKey && !event.metaKey) {
    typeAhead(there, at, event.key.toLowerCase());
  }
}

function typeAhead(there, at, key) {
  const turned = [...there.slice(at + 1), ...there.slice(0, at + 1)];
  turned.find(({ node }) => node.textContent.trim().toLowerCase().startsWith(key))?.node.focus();
}

function place(box, opener) {
  const from = opener.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = box;
  const below = from.bottom + 4 + height <= window.innerHeight || from.top < height;
  box.style.minWidth = `${Math.min(Math.max(from.width, 160), window.innerWidth - 16)}px`;
  box.style.left = `${Math.max(8, Math.min(from.left, window.innerWidth - width - 8))}px`;
  box.style.top = `${Math.max(8, below ? Math.min(from.bottom + 4, window.innerHeight - height - 8) : from.top - height - 4)}px`;
}

/** Gives the focus back to a button, or to the one that came in its place when its message was drawn anew. */
export function refocus(opener) {
  if (opener.isConnected) {
    opener.focus();
    return;
  }
  const { actionId, about } = opener.dataset;
  const same = [...document.querySelectorAll("[data-action-id]")].filter((one) => one.dataset.actionId === actionId);
  (same.find((one) => one.dataset.about === about) ?? null)?.focus();
}
