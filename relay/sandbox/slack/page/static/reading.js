// What each person has read: all that was there when the page was opened, and what they looked at since.

const began = String(Date.now() / 1000);

/** Remembers how far everyone has read in every place. */
export class Reading {
  #read = new Map();

  /** Notes that somebody has a place before them, up to its newest message. */
  seen(me, place, messages) {
    const newest = messages.at(-1)?.ts;
    if (newest) this.#read.set(`${me}/${place}`, newest);
  }

  /** Returns how many messages a person has not seen in a place; replies in threads count in the app's own. */
  unread(me, place, messages) {
    const read = this.#read.get(`${me}/${place}`) ?? began;
    return messages.filter((one) => one.ts > read && one.user !== me && (!one.thread_ts || place.startsWith("D"))).length;
  }
}
