// What the server told this tab, piece by piece, and the way to act there.

const FIRST_PAUSE = 300;
const LONGEST_PAUSE = 3000;

/** The pieces of the workspace that one person sees; comes back by itself when the connection is lost. */
export class Store {
  pieces = new Map();
  #user;
  #socket = null;
  #waiting = new Map();
  #last = 0;
  #pause = FIRST_PAUSE;

  /** `changed(names)` is called after every change, `linked(up)` when the connection comes or goes. */
  constructor(user, { changed, linked }) {
    this.#user = user;
    this.changed = changed;
    this.linked = linked;
  }

  /** Connects, and again whenever the connection ends. */
  connect() {
    const socket = new WebSocket(`ws://${location.host}/socket?user=${encodeURIComponent(this.#user)}`);
    socket.addEventListener("open", () => {
      this.#pause = FIRST_PAUSE;
      this.linked(true);
    });
    socket.addEventListener("message", (event) => this.#take(JSON.parse(event.data)));
    socket.addEventListener("close", () => this.#lose());
    this.#socket = socket;
  }

  /** Does something as the person this tab is; the answer says `ok`, else `error` and maybe `errors`. */
  act(act, fields = {}) {
    if (this.#socket?.readyState !== WebSocket.OPEN) {
      return Promise.resolve({ ok: false, error: "There is no connection to the workspace at the moment." });
    }
    if (act === "be") this.#user = fields.user;
    const id = ++this.#last;
    this.#socket.send(JSON.stringify({ ...fields, id, act }));
    return new Promise((answered) => this.#waiting.set(id, answered));
  }

  #take(news) {
    if ("ok" in news) {
      this.#waiting.get(news.id)?.(news);
      this.#waiting.delete(news.id);
      return;
    }
    const names = new Set(Object.keys(news.set));
    for (const name of news.whole ? this.pieces.keys() : news.gone) {
      if (!(name in news.set)) {
        this.pieces.delete(name);
        names.add(name);
      }
    }
    for (const [name, piece] of Object.entries(news.set)) this.pieces.set(name, piece);
    this.changed(names);
  }

  #lose() {
    this.linked(false);
    for (const answered of this.#waiting.values()) answered({ ok: false, error: "The connection was lost meanwhile." });
    this.#waiting.clear();
    setTimeout(() => this.connect(), this.#pause);
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
  }

  // What can be read from the pieces.

  get ready() {
    return this.pieces.has("me");
  }

  get me() {
    return this.pieces.get("me");
  }

  get page() {
    return this.pieces.get("page");
  }

  get people() {
    return this.pieces.get("people") ?? [];
  }

  get channels() {
    return this.pieces.get("channels") ?? [];
  }

  get app() {
    return this.person(this.page.app);
  }

  /** Returns the person or app of that id, or null. */
  person(id) {
    return this.people.find((one) => one.id === id) ?? null;
  }

  /** Returns the channel or conversation of that id, null where this person is in none. */
  channel(id) {
    return this.channels.find((one) => one.id === id) ?? null;
  }

  /** Returns what was said in a channel, whispers too, oldest first. */
  messages(channel) {
    const found = [];
    for (const kind of ["message", "whisper"]) {
      const stem = `${kind}/${channel}/`;
      for (const [name, piece] of this.pieces) {
        if (name.startsWith(stem)) found.push({ ...piece, kind, name });
      }
    }
    return found.sort((one, other) => (one.ts < other.ts ? -1 : 1));
  }

  /** Returns what the app says of its work in a thread, "" where nothing. */
  status(channel, thread) {
    return this.pieces.get(`status/${channel}/${thread}`)?.text ?? "";
  }
}
