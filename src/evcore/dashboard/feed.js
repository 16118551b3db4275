// The live feed: a copy of the site's state, kept by snapshots, merge patches (RFC 7396) and events; and commands back.

const RETRY_MS = [500, 1000, 2000, 5000, 10000];

export function mergePatch(target, patch) {
  if (patch === null || typeof patch !== "object" || Array.isArray(patch)) return patch;
  const result = target !== null && typeof target === "object" && !Array.isArray(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}

export class Feed {
  // onChange(key): an entity changed or went (not in `state` then). onEvent(event). onLink("live" | "connecting" | "login" | "offline").
  constructor({ onChange, onEvent, onLink }) {
    this.state = new Map();
    this.onChange = onChange;
    this.onEvent = onEvent;
    this.onLink = onLink;
    this.node = null;
    this.seq = 0;
    this.tries = 0;
    this.pending = new Map();
    this.nextId = 1;
  }

  connect() {
    this.onLink("connecting");
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/feed`, "evcore.feed.v1");
    this.socket = socket;
    socket.onmessage = (message) => this.receive(JSON.parse(message.data));
    socket.onclose = () => this.closed();
  }

  async closed() {
    for (const { reject } of this.pending.values()) reject(new Error("the connection went away"));
    this.pending.clear();
    // A refused upgrade looks like any other loss to a page: ask the API whether it is the key that is missing.
    const answer = await fetch("/v1/chargers").catch(() => null);
    if (answer !== null && answer.status === 401) return this.onLink("login");
    this.onLink("offline");
    setTimeout(() => this.connect(), RETRY_MS[Math.min(this.tries++, RETRY_MS.length - 1)]);
  }

  receive(message) {
    switch (message.t) {
      case "hello": {
        const same = message.node === this.node;
        const since = same ? { since: this.seq, node: this.node } : {};
        this.node = message.node;
        this.socket.send(JSON.stringify({ op: "sub", id: 0, keys: ["*"], max_hz: 4, ...since }));
        break;
      }
      case "snap":
        this.tries = 0;
        this.onLink("live");
        if (message.since === undefined) {
          const gone = [...this.state.keys()].filter((key) => !(key in message.d));
          for (const key of gone) this.set(key, null);
        }
        for (const [key, value] of Object.entries(message.d)) this.set(key, value);
        this.seq = message.seq;
        break;
      case "d":
        this.set(message.k, message.v === null ? null : mergePatch(this.state.get(message.k), message.v));
        this.seq = message.seq;
        break;
      case "e":
        this.onEvent({ ...message.d, id: message.id, kind: message.type });
        this.seq = message.seq;
        break;
      case "r":
      case "err": {
        const waiting = this.pending.get(message.id);
        this.pending.delete(message.id);
        if (waiting && message.t === "r") waiting.resolve(message.d);
        else if (waiting) waiting.reject(new Error(message.detail));
      }
    }
  }

  set(key, value) {
    if (value === null) this.state.delete(key);
    else this.state.set(key, value);
    this.onChange(key);
  }

  // The device's own answer: {status, ok, reason, data}.
  command(target, name, args) {
    const id = `c${this.nextId++}`;
    return new Promise((resolve, reject) => {
      if (this.socket.readyState !== WebSocket.OPEN) return reject(new Error("not connected"));
      this.pending.set(id, { resolve, reject });
      this.socket.send(JSON.stringify({ op: "cmd", id, target, name, args, key: crypto.randomUUID?.() ?? `${Date.now()}-${id}` }));
    });
  }
}
