// The middle: a channel or the conversation with the app, its messages, and the box to type into.

import { Composer } from "./composer.js";
import { Home } from "./home.js";
import { keyed } from "./keyed.js";
import { MessageList, itemsOf } from "./list.js";
import { make } from "./making.js";
import { avatar } from "./message.js";
import { counted, placeName } from "./words.js";

const FIRST_WORDS = "/letta deploy the site";

/** Fills the main part; `page` is the application: where one is, and what can be done. */
export class ChannelPane {
  constructor(store, root, page) {
    this.store = store;
    this.page = page;
    this.hidden = new Set();
    this.title = make("h1", { tabindex: "-1" });
    this.about = make("span", { class: "about" });
    this.tabs = make("div", { class: "tabs" });
    this.menu = make("button", { type: "button", class: "plain menu", "aria-label": "Channels", onclick: () => page.toggleSidebar() }, "☰");
    this.guide = make("button", { type: "button", class: "button guide", onclick: () => page.toggleGuide() }, "Things to try");
    this.list = new MessageList("Messages");
    this.home = new Home(store);
    this.composer = new Composer({ known: () => page.known(), send: (text) => page.send(page.place, text) });
    root.append(
      make("header", { class: "channel-head" }, this.menu, make("div", { class: "named" }, this.title, this.about), this.guide),
      this.tabs, this.list.root, this.home.root, this.composer.root);
  }

  show(place) {
    const { store } = this;
    const home = place === "home";
    const channel = store.channel(place);
    this.title.textContent = placeName(store, place);
    this.about.textContent = channel && !channel.is_im ? aboutChannel(store, channel) : "";
    this.#showTabs(place);
    this.list.root.hidden = home;
    this.composer.root.hidden = home;
    this.home.root.hidden = !home;
    if (home) {
      this.home.show();
      return;
    }
    this.#showMessages(place);
    this.composer.at(`${store.me}/${place}`, `Message ${placeName(store, place)}`);
  }

  /** Says what the button for the panel beside is to do next. */
  guideIs(open, number) {
    this.guide.hidden = open || !number;
  }

  #showTabs(place) {
    const direct = this.store.channels.find((one) => one.is_im);
    const app = direct && (place === "home" || place === direct.id);
    this.tabs.hidden = !app;
    const tabs = app ? [["home", "Home"], [direct.id, "Messages"]] : [];
    keyed(this.tabs, tabs.map(([to, words]) => ({
      key: to, stamp: String(to === place),
      make: () => make("button", { type: "button", class: "tab", "aria-current": to === place ? "page" : null, onclick: () => this.page.go(to) }, words),
    })));
  }

  #showMessages(place) {
    const all = this.store.messages(place);
    const seen = all.filter((one) => !one.thread_ts && !this.hidden.has(one.name));
    const replies = Map.groupBy ? Map.groupBy(all.filter((one) => one.thread_ts && one.kind === "message"), (one) => one.thread_ts) : grouped(all);
    const more = (one) => this.#more(place, one, replies.get(one.ts) ?? []);
    const items = itemsOf(seen, { store: this.store, act: (...what) => this.page.click(...what), more });
    this.list.show(`${this.store.me}/${place}`, [this.#welcome(place, seen.length), ...items], all.at(-1)?.ts ?? "");
  }

  #more(place, one, replies) {
    const status = this.store.status(place, one.ts);
    const dismiss = () => {
      this.hidden.add(one.name);
      this.show(place);
    };
    return {
      replies, status, ends: replies.length > 0,
      open: () => this.page.openThread(one.ts),
      dismiss,
      stamp: [status, replies.length, replies.at(-1)?.ts, [...new Set(replies.map((reply) => reply.user))]],
    };
  }

  #welcome(place, number) {
    const name = placeName(this.store, place);
    const first = place === "C0OPS" && !number;
    return {
      key: "welcome", stamp: `${name}/${first}`,
      make: () => (first ? welcome(this.store, (text) => this.composer.fill(text)) : beginning(this.store, place, name)),
    };
  }
}

function aboutChannel(store, channel) {
  const members = counted(channel.members.length, "member", "members");
  const shared = channel.is_ext_shared ? " · shared with another workspace" : "";
  return channel.has_app ? members + shared : `${members}${shared} · ${store.app.real_name} is not in this channel`;
}

function grouped(all) {
  const found = new Map();
  for (const one of all) {
    if (one.thread_ts && one.kind === "message") found.set(one.thread_ts, [...(found.get(one.thread_ts) ?? []), one]);
  }
  return found;
}

/** Returns the quiet words at the top of a place. */
function beginning(store, place, name) {
  const words = place.startsWith("D") ? `This is the conversation between you and ${name}.` : `This is the beginning of ${name}.`;
  return make("div", { class: "beginning" }, make("p", { class: "quiet" }, words));
}

/** Returns what a newcomer sees before anybody has said anything. */
function welcome(store, fill) {
  const app = store.app.real_name;
  const take = make("button", { type: "button", class: "button", onclick: () => fill(FIRST_WORDS) }, "Put it in the box");
  return make("section", { class: "welcome", "aria-label": "Welcome" },
    avatar(store.app),
    make("h2", {}, "Welcome to a workspace of your own"),
    make("p", {}, `It looks like Slack, but runs on this machine alone: no account, nothing sent anywhere. ${app} is real, and so is its connection; only Slack and the agent are stand-ins.`),
    make("p", { class: "first" }, "Type ", make("code", {}, FIRST_WORDS), " below and press Enter.", " ", take),
    make("p", { class: "quiet" }, "With it begin the ", make("em", {}, "First steps"), " of ", make("em", {}, "Things to try"), ": they tick along and say what comes next, and as whom. Who you are is chosen in the left column."));
}
