// The box one types into: Enter sends, Shift+Enter makes a line, "/" and "@" complete.

import { offers } from "./completion.js";
import { fresh, make } from "./making.js";

const TALLEST = 200;

/** A box for messages and commands; `send(text)` answers with what went wrong, "" for nothing. */
export class Composer {
  #drafts = new Map();
  #key = "";
  #offer = null;
  #active = -1;

  constructor({ known, send, commands = true }) {
    this.known = known;
    this.send = send;
    this.listId = fresh("offers");
    this.wrongId = fresh("wrong");
    this.box = make("textarea", {
      rows: "1", role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false",
      "aria-controls": this.listId, "aria-describedby": this.wrongId, "aria-haspopup": "listbox",
    });
    this.list = make("ul", { id: this.listId, role: "listbox", class: "offers", hidden: true, "aria-label": "Completions" });
    this.wrong = make("p", { id: this.wrongId, class: "wrong", role: "alert" });
    const keys = [["Enter", "sends"], ["Shift+Enter", "new line"], ...(commands ? [["/", "commands"]] : []), ["@", "people"]];
    const hint = keys.map(([key, words]) => make("span", {}, make("kbd", {}, key), ` ${words}`));
    this.button = make("button", { type: "button", class: "send", "aria-label": "Send", onclick: () => this.#send() }, "➤");
    this.root = make("div", { class: "composer" }, this.list,
      make("div", { class: "frame" }, this.box, make("div", { class: "foot" }, make("span", { class: "hint", "aria-hidden": "true" }, hint), this.button)), this.wrong);
    this.box.addEventListener("input", () => this.#typed());
    this.box.addEventListener("keydown", (event) => this.#pressed(event));
    this.box.addEventListener("blur", () => this.#close());
    this.box.addEventListener("click", () => this.#look());
  }

  /** Belongs to another place from now on; what was typed there before is there again. */
  at(key, label) {
    this.box.placeholder = label;
    this.box.setAttribute("aria-label", label);
    if (key === this.#key) return;
    this.#drafts.set(this.#key, this.box.value);
    this.#key = key;
    this.#put(this.#drafts.get(key) ?? "");
    this.wrong.textContent = "";
  }

  /** Puts words into the box, for the person to send. */
  fill(text) {
    this.#put(text);
    this.box.focus();
    this.box.setSelectionRange(text.length, text.length);
  }

  #put(text) {
    this.box.value = text;
    this.#close();
    this.#grow();
  }

  #grow() {
    this.box.style.height = "auto";
    if (this.box.scrollHeight) this.box.style.height = `${Math.min(this.box.scrollHeight, TALLEST)}px`;
    this.button.classList.toggle("able", this.box.value.trim() !== "");
  }

  #typed() {
    this.#grow();
    this.wrong.textContent = "";
    this.#look();
  }

  #look() {
    this.#offer = offers(this.box.value, this.box.selectionStart, this.known());
    this.#active = this.#offer?.eager ? 0 : -1;
    this.#show();
  }

  #close() {
    this.#offer = null;
    this.#show();
  }

  #show() {
    const items = this.#offer?.items ?? [];
    this.list.hidden = !items.length;
    this.box.setAttribute("aria-expanded", String(items.length > 0));
    this.list.replaceChildren(...items.map((item, at) => this.#option(item, at)));
    const active = this.list.children[this.#active];
    if (active) this.box.setAttribute("aria-activedescendant", active.id);
    else this.box.removeAttribute("aria-activedescendant");
    active?.scrollIntoView({ block: "nearest" });
  }

  #option(item, at) {
    const option = make("li", { id: `${this.listId}-${at}`, role: "option", "aria-selected": String(at === this.#active) },
      make("strong", {}, item.label), item.more ? make("span", {}, item.more) : null);
    // The box keeps the focus: with it would go the list.
    option.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      this.#take(item);
    });
    return option;
  }

  #take(item) {
    const { from, to } = this.#offer;
    this.box.setRangeText(item.insert, from, to, "end");
    this.#typed();
  }

  #pressed(event) {
    if (event.isComposing) return;
    const meant = this.#offer ? this.#inList(event) : null;
    if (meant) {
      event.preventDefault();
      event.stopPropagation();
      meant();
    } else if (event.key === "Enter" && !event.shiftKey && !event.altKey) {
      event.preventDefault();
      // Held down a moment too long, the Enter that took a command must not send it too.
      if (!event.repeat) this.#send();
    }
  }

  #inList(event) {
    const { items } = this.#offer;
    const go = (step) => () => {
      const from = this.#active < 0 && step < 0 ? 0 : this.#active;
      this.#active = (from + step + items.length) % items.length;
      this.#show();
    };
    if (event.altKey || event.ctrlKey || event.metaKey) return null;
    if (event.key === "ArrowDown") return go(1);
    if (event.key === "ArrowUp") return go(-1);
    if (event.key === "Escape") return () => this.#close();
    if (event.key === "Tab" && !event.shiftKey) return () => this.#take(items[Math.max(this.#active, 0)]);
    if (event.key === "Enter" && !event.shiftKey && this.#active >= 0) return () => this.#take(items[this.#active]);
    return null;
  }

  async #send() {
    const text = this.box.value;
    if (!text.trim()) return;
    const key = this.#key;
    this.#put("");
    const wrong = await this.send(text);
    if (!wrong) return;
    // What could not be sent comes back, unless there is something new in its place.
    if (key === this.#key && !this.box.value) this.#put(text);
    else if (!this.#drafts.get(key)) this.#drafts.set(key, text);
    if (key === this.#key) this.wrong.textContent = wrong;
  }
}
