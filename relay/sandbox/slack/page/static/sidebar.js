// The left column: the workspace, who one is, the app, channels, direct messages.

import { keyed } from "./keyed.js";
import { fresh, make } from "./making.js";
import { avatar } from "./message.js";
import { described } from "./words.js";

/** Fills the navigation; `go(place)` goes somewhere, `be(user)` is somebody else from then on. */
export class Sidebar {
  constructor(store, root, { go, be }) {
    this.store = store;
    this.go = go;
    const id = fresh("switch");
    this.name = make("h2", { class: "workspace" });
    this.who = make("select", { id, onchange: () => be(this.who.value) });
    this.face = make("span", { class: "face" });
    this.places = make("div", { class: "places" });
    root.append(this.name,
      make("div", { class: "who" }, make("label", { for: id }, "You are"), make("div", { class: "switch" }, this.face, this.who)),
      this.places);
  }

  /** Shows all places of the person; `unread(place)` is how many messages wait there. */
  show(place, unread) {
    const { store } = this;
    this.name.textContent = store.page.title;
    const people = store.page.switch.map((id) => store.person(id)).filter(Boolean);
    keyed(this.who, people.map((one) => ({ key: one.id, stamp: described(one), make: () => make("option", { value: one.id }, described(one)) })));
    this.who.value = store.me;
    this.who.title = described(store.person(store.me));
    keyed(this.face, [{ key: store.me, stamp: "", make: () => avatar(store.person(store.me), true) }]);
    const direct = store.channels.find((one) => one.is_im);
    const items = [];
    if (direct) items.push(title("Apps"), this.#entry("home", store.app.real_name, { now: place === "home", sign: avatar(store.app, true), about: "App Home" }));
    items.push(title("Channels"));
    for (const one of store.channels.filter((each) => !each.is_im)) {
      const about = one.is_ext_shared ? "shared with another workspace" : one.has_app ? "" : `without ${store.app.real_name}`;
      items.push(this.#entry(one.id, one.name, { now: place === one.id, sign: one.is_private ? "🔒" : "#", count: unread(one.id), about }));
    }
    if (direct) items.push(title("Direct messages"), this.#entry(direct.id, store.app.real_name, { now: place === direct.id, sign: avatar(store.app, true), count: unread(direct.id) }));
    keyed(this.places, items);
  }

  #entry(place, name, { now, sign, count = 0, about = "" }) {
    return {
      key: place,
      stamp: JSON.stringify([name, now, count, about]),
      make: () =>
        make("button", { type: "button", class: `place${count ? " unread" : ""}`, "data-place": place, "aria-current": now ? "page" : null, title: about || null, onclick: () => this.go(place) },
          make("span", { class: "sign", "aria-hidden": "true" }, sign), make("span", { class: "name" }, name),
          about && place !== "home" ? make("span", { class: "unseen" }, `, ${about}`) : null,
          count ? [make("span", { class: "count", "aria-hidden": "true" }, String(count)), make("span", { class: "unseen" }, `, ${count} unread`)] : null),
    };
  }
}

const title = (words) => ({ key: `title/${words}`, stamp: "", make: () => make("h3", {}, words) });
