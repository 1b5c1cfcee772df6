// The page as a whole: who one is, where one is, and what all parts show.

import { ChannelPane } from "./channel.js";
import { Modals } from "./modal.js";
import { Reading } from "./reading.js";
import { Scenarios } from "./scenarios.js";
import { Sidebar } from "./sidebar.js";
import { Store } from "./store.js";
import { ThreadPane } from "./thread.js";
import { placeName } from "./words.js";

const TOAST_FOR = 8000;
const WIDE = matchMedia("(min-width: 1000px)"); // the panel beside has room of its own
const byId = (id) => document.getElementById(id);

class Page {
  place = "C0OPS";
  thread = null;
  #reading = new Reading();
  #guide = WIDE.matches;
  #opener = null;
  #fading = null;

  constructor() {
    const at = new URLSearchParams(location.hash.slice(1));
    this.place = at.get("in") ?? this.place;
    this.thread = at.get("thread");
    this.store = new Store(at.get("as") ?? "", { changed: (names) => this.#changed(names), linked: (up) => this.#linked(up) });
    this.sidebar = new Sidebar(this.store, byId("sidebar"), { go: (place) => this.go(place), be: (user) => this.be(user) });
    this.middle = new ChannelPane(this.store, byId("main"), this);
    this.beside = new ThreadPane(this.store, byId("thread"), this);
    this.modals = new Modals(this.store, byId("modal"));
    this.scenarios = new Scenarios(this.store, byId("guide"), {
      visit: (...where) => this.visit(...where), tell: (words) => this.tell(words), hide: () => this.toggleGuide(),
    });
    document.addEventListener("keydown", (event) => this.#pressed(event));
    document.addEventListener("click", (event) => this.#clicked(event));
    WIDE.addEventListener("change", () => this.#setGuide(WIDE.matches));
    addEventListener("focus", () => this.show());
    this.store.connect();
  }

  // Where one is.

  go(place, focus = false) {
    const direct = this.store.channels.find((one) => one.is_im);
    const theirs = place === "dm" || place.startsWith("D");
    this.place = theirs || (place === "home" && !direct) ? (direct?.id ?? "") : place;
    this.thread = null;
    byId("layout").classList.remove("with-sidebar");
    if (this.place === "home") this.act("open_home", { tab: "home" });
    else if (this.place === direct?.id) this.act("open_home", { tab: "messages" });
    this.show();
    if (focus) this.middle.composer.box.focus();
  }

  async be(user) {
    if (user === this.store.me) return;
    const answer = await this.store.act("be", { user });
    if (!answer.ok) this.tell(answer.error);
  }

  /**
   * Becomes somebody and goes somewhere, "" leaves it as it is: to the message `ts`, or the thread under
   * `thread_ts`, where there is one; `words` are put into an empty box. `watching` leaves the focus where it is.
   */
  async visit(person, place, { ts = "", thread_ts = "", words = "" } = {}, watching = false) {
    // A panel that lies over what one is led to would hide it.
    if (this.#guide && !WIDE.matches) this.toggleGuide();
    const going = { place: place || this.place, ts, thread_ts, words, watching };
    if (person && person !== this.store.me) {
      this.going = going;
      const answer = await this.store.act("be", { user: person });
      if (answer.ok) return;
      this.going = null;
      this.tell(answer.error);
    } else if (place) this.#reach(going);
  }

  #reach({ place, ts, thread_ts, words, watching }) {
    this.go(place);
    if (thread_ts) this.openThread(thread_ts, !watching);
    else if (ts) this.middle.list.pointTo(ts, !watching);
    if (words && !this.middle.composer.box.value) this.middle.composer.fill(words);
  }

  openThread(ts, focus = true) {
    this.#opener = ts;
    this.thread = ts;
    this.show();
    if (focus) this.beside.composer.box.focus();
  }

  closeThread() {
    this.thread = null;
    this.show();
    const there = this.#opener && document.querySelector(`#main [data-ts="${CSS.escape(this.#opener)}"] :is(.replies, .tools button)`);
    (there || this.middle.composer.box).focus();
  }

  toggleSidebar() {
    const open = byId("layout").classList.toggle("with-sidebar");
    if (open) byId("sidebar").querySelector("select").focus();
  }

  toggleGuide() {
    this.#setGuide(!this.#guide);
    (this.#guide ? byId("guide").querySelector("h2") : this.middle.guide).focus();
  }

  #setGuide(open) {
    this.#guide = open;
    this.show();
  }

  // What one does.

  known() {
    return { commands: this.store.page.commands, people: this.store.people };
  }

  async send(channel, text, thread = null) {
    const command = text.trimStart().startsWith("/");
    const fields = { channel, text: command ? text.trim() : text, ...(thread ? { thread_ts: thread } : {}) };
    (thread ? this.beside : this.middle).list.toEnd();
    const answer = await this.store.act(command ? "slash" : "say", fields);
    return answer.ok ? "" : answer.error;
  }

  async click(message, _block, element, value) {
    const fields = { channel: message.channel, ts: message.ts, action_id: element.action_id };
    if (value !== undefined) fields.value = value;
    const answer = await this.store.act("click", fields);
    if (!answer.ok) throw new Error(answer.error);
  }

  async act(name, fields) {
    const answer = await this.store.act(name, fields);
    if (!answer.ok) this.tell(answer.error);
  }

  /** Says something that went wrong and belongs to no box. */
  tell(words) {
    byId("toast").textContent = words;
    clearTimeout(this.#fading);
    this.#fading = setTimeout(() => byId("toast").replaceChildren(), TOAST_FOR);
  }

  // What is shown.

  show() {
    const { store } = this;
    if (!store.ready) return;
    this.#findPlace();
    const messages = store.messages(this.place);
    if (document.hasFocus() || !this.#reading.unread(store.me, this.place, messages)) this.#reading.seen(store.me, this.place, messages);
    this.sidebar.show(this.place, (place) => this.#reading.unread(store.me, place, store.messages(place)));
    this.middle.show(this.place);
    this.beside.show(this.place, this.thread);
    this.modals.show();
    this.scenarios.show();
    const number = (store.pieces.get("scenarios") ?? []).length;
    byId("guide").hidden = !this.#guide || !number;
    this.middle.guideIs(this.#guide, number);
    byId("layout").classList.toggle("with-thread", !byId("thread").hidden);
    byId("layout").classList.toggle("with-guide", !byId("guide").hidden);
    this.#nameIt();
  }

  // Somebody else may not be in the channel that was looked at: then it is the first they are in.
  #findPlace() {
    const { store } = this;
    const direct = store.channels.find((one) => one.is_im);
    if (this.place.startsWith("D") && this.place !== direct?.id) this.place = direct?.id ?? "";
    const there = this.place === "home" ? Boolean(direct) : Boolean(store.channel(this.place));
    if (!there) {
      this.place = store.channels[0]?.id ?? "home";
      this.thread = null;
    }
  }

  #nameIt() {
    const { store } = this;
    const at = new URLSearchParams({ as: store.me, in: this.place, ...(this.thread ? { thread: this.thread } : {}) });
    if (location.hash !== `#${at}`) history.replaceState(null, "", `#${at}`);
    document.title = `${placeName(store, this.place)} · ${store.page.title}`;
  }

  #changed(names) {
    if (names.has("me")) this.#arrived();
    else this.#announce(names);
    this.show();
  }

  // The first that is heard as somebody: go where was meant, and ask for what the app shows there.
  #arrived() {
    const going = this.going ?? { place: this.place };
    this.going = null;
    const { place } = going;
    if (place === "home" || place.startsWith("D") || place !== this.place || going.ts || going.thread_ts || going.words) queueMicrotask(() => this.#reach(going));
  }

  #announce(names) {
    const said = [...names].map((name) => this.store.pieces.get(name)).filter((one) => one?.ts && one.user !== this.store.me);
    const here = said.filter((one) => one.channel === this.place && Date.now() / 1000 - Number(one.ts) < 5);
    if (here.length) byId("live").textContent = here.map((one) => `${(this.store.person(one.user) ?? this.store.app).real_name}: ${one.text.slice(0, 200)}`).join(". ");
  }

  #linked(up) {
    byId("lost").hidden = up;
    byId("lost").textContent = up ? "" : "The connection to the workspace is lost. Trying again…";
  }

  #clicked(event) {
    const link = event.target.closest?.("a[href]");
    if (link && this.#followed(link.href)) event.preventDefault();
    const skip = event.target.closest?.("[data-skip]");
    if (!skip) return;
    if (skip.dataset.skip.includes("guide") && !this.#guide) this.#setGuide(true);
    const there = skip.dataset.skip.split(",").flatMap((one) => [...document.querySelectorAll(one)]);
    there.find((one) => one.checkVisibility({ visibilityProperty: true }))?.focus();
  }

  // A link to a message of this workspace leads there, within the page.
  #followed(href) {
    const found = href.startsWith(`${this.store.page.workspace}/archives/`) && /\/archives\/(\w+)\/p(\d+)(\d{6})(?:\?thread_ts=([\d.]+))?/.exec(href);
    if (!found) return false;
    const [, channel, seconds, rest, thread] = found;
    if (!this.store.channel(channel)) {
      this.tell("You are not in the channel of that message.");
      return true;
    }
    this.go(channel);
    if (thread) this.openThread(thread);
    (thread ? this.beside : this.middle).list.pointTo(`${seconds}.${rest}`);
    return true;
  }

  #pressed(event) {
    if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
    if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
      event.preventDefault();
      this.#step(event.key === "ArrowUp" ? -1 : 1);
    } else if (event.key === "Escape") {
      if (byId("layout").classList.contains("with-sidebar")) byId("layout").classList.remove("with-sidebar");
      else if (this.#guide && !WIDE.matches) this.toggleGuide();
      else if (this.thread) this.closeThread();
    }
  }

  #step(by) {
    const all = [...document.querySelectorAll("#sidebar .place")].map((one) => one.dataset.place);
    this.go(all[(all.indexOf(this.place) + by + all.length) % all.length], true);
  }
}

new Page();
