// Whether the service stores what the user sends, as far as its answers say.

const refusals = new Set(["unavailable", "overloaded", "internal", "timeout"]);
const patience = 6000; // ms without an answer: the service waits 5 s for its store

export class Storing {
  #client;
  #now;
  #refused = false; // what was tried last was refused for now
  #proved = -Infinity; // when something was stored last, or the connection was made
  #sent = new WeakMap(); // what is on its way -> since when

  /** @param {import("./fanloop.js").Client} client */
  constructor(client, now = () => performance.now()) {
    this.#client = client;
    this.#now = now;
    client.on("outgoing", (entry) => this.#changed(entry));
    client.on("state", (state) => state === "connected" && (this.#proved = now()));
  }

  #changed(entry) {
    if (entry.state === "stored") {
      this.#refused = false;
      this.#proved = this.#now();
    } else if (refusals.has(entry.error?.code)) this.#refused = true;
    else if (!this.#sent.has(entry)) this.#sent.set(entry, this.#now());
  }

  /** Messages wait, and the service refuses them for now, or does not answer. */
  get stuck() {
    const waiting = this.#client.outgoing.filter(({ state, mayRepeat }) => (state === "sending" || state === "unconfirmed") && !mayRepeat);
    this.#refused &&= waiting.length > 0;
    const silent = (entry) => this.#now() - Math.max(this.#sent.get(entry) ?? Infinity, this.#proved) > patience;
    return this.#refused || waiting.some(silent);
  }
}
