// The tiles: a charger with its EVSEs, a car, a meter. Each is built once and updated in place.

import { Chart, Series } from "./chart.js";
import { element, Keyed, show, text } from "./dom.js";
import { energy, number, power, sample, time } from "./format.js";

const LOOK = { Available: "good", Occupied: "busy", Reserved: "warn", Unavailable: "warn", Faulted: "bad" };

function pill(node, label, look) {
  text(node, label);
  const wanted = `pill ${look ?? ""}`;
  if (node.className !== wanted) node.className = wanted;
}

export class ChargerTile {
  constructor(id, feed) {
    this.id = id;
    this.feed = feed;
    this.online = element("span");
    this.about = element("small");
    const list = element("div");
    this.root = element("article", { class: "tile", "aria-label": `Charger ${id}` },
      element("header", {}, element("h3", {}, id), this.online), this.about, list);
    this.evses = new Keyed(list, (key) => new EvseRow(key, this));
  }

  update(state, now) {
    const station = state.get(`charger/${this.id}`);
    const online = station?.online ?? false;
    pill(this.online, online ? "online" : "offline", online ? "good" : "bad");
    text(this.about, [station?.protocol, station?.vendor, station?.model, station?.firmware].filter(Boolean).join(" · "));
    const prefix = `evse/${this.id}/`;
    const keys = [...state.keys()].filter((key) => key.startsWith(prefix)).sort();
    // EVSE 0 is the station as a whole: shown only when nothing else is known.
    const shown = keys.filter((key) => state.get(key).id > 0);
    for (const row of this.evses.update(shown.length ? shown : keys).values()) row.update(state, online, now);
  }
}

class EvseRow {
  constructor(key, tile) {
    this.key = key;
    this.tile = tile;
    this.number = Number(key.split("/").at(-1));
    const name = `${tile.id}, EVSE ${this.number}`;
    this.status = element("span");
    this.power = element("span", { class: "big" });
    this.session = element("small");
    this.fault = element("span", { class: "bad" });
    this.token = element("input", { "aria-label": `Token for ${name}`, placeholder: "token", required: true, maxlength: 36, autocomplete: "off", spellcheck: "false" });
    this.start = element("button", { class: "start", type: "submit", "aria-label": `Start ${name}` }, "Start");
    this.stop = element("button", { class: "stop", type: "button", "aria-label": `Stop ${name}`, onclick: () => this.send("stop") }, "Stop");
    this.answer = element("output", { "aria-live": "polite" });
    this.form = element("form", { class: "row", onsubmit: (event) => { event.preventDefault(); this.send("start"); } }, this.token, this.start);
    this.series = new Series();
    const chart = element("div", { class: "chart" });
    this.root = element("div", { class: "evse", "data-evse": key },
      element("div", { class: "row" }, element("strong", {}, `EVSE ${this.number}`), this.status, this.fault, element("span", { class: "grow" }), this.power),
      chart, this.session, element("div", { class: "row" }, this.form, this.stop), this.answer);
    this.chart = new Chart(chart, this.series, `Power of ${name} over the last five minutes`);
  }

  async send(verb) {
    const args = verb === "start" ? { evse: this.number, token: this.token.value } : this.current ? { session: this.current } : { evse: this.number };
    this.waiting = true;
    this.answer.className = "";
    text(this.answer, `${verb}: waiting for the charger…`);
    try {
      const answer = await this.tile.feed.command(this.tile.id, verb, args);
      this.answer.className = answer.ok ? "good" : "bad";
      text(this.answer, `${verb}: ${answer.status}${answer.reason ? `, ${answer.reason}` : ""}`);
    } catch (error) {
      this.answer.className = "bad";
      text(this.answer, `${verb}: ${error.message}`);
    }
    this.waiting = false;
  }

  update(state, online, now) {
    const evse = state.get(this.key);
    if (!evse) return;
    pill(this.status, evse.charging && evse.status === "Occupied" ? evse.charging : evse.status, LOOK[evse.status]);
    text(this.fault, evse.fault ?? "");
    const session = evse.session ? state.get(`session/${evse.session}`) : undefined;
    const active = session?.state === "active";
    this.current = active ? evse.session : undefined;
    const watts = state.get(`sample/${this.tile.id}/${this.number}/Power.Active.Import`);
    const flowing = active && watts ? watts.value : 0;
    this.series.add(flowing, now);
    text(this.power, power(flowing));
    this.chart.draw(now);
    const soc = state.get(`sample/${this.tile.id}/${this.number}/SoC`) ?? state.get(`sample/${this.tile.id}/${this.number}/SoC/-/EV`);
    const parts = active ? [`session since ${time(session.started)}`, energy(session.energy_wh)] : ["no session"];
    if (active && soc) parts.push(`SoC ${number(soc.value, 0)} %`);
    if (evse.limit_a !== undefined) parts.push(`limit ${number(evse.limit_a)} A`);
    text(this.session, parts.join(" · "));
    show(this.form, !active);
    show(this.stop, active);
    this.start.disabled = this.stop.disabled = !online || this.waiting === true;
  }
}

const UNITS = { v: "V", a: "A", w: "W", kwh: "kWh", wh: "Wh", ah: "Ah", c: "°C", percent: "%", min: "min" };

// "max_voltage_v", 426.1 -> ["max voltage", "426.1 V"]
function limit(name, value) {
  const words = name.split("_");
  const unit = UNITS[words.at(-1)];
  return unit ? [words.slice(0, -1).join(" "), `${number(value)} ${unit}`] : [words.join(" "), number(value)];
}

const CAR = { SoC: "State of charge", Voltage: "Voltage", "Current.Import": "Current", "Power.Active.Import": "Power", Temperature: "Temperature" };

export class VehicleTile {
  constructor(id) {
    this.id = id;
    this.stage = element("span");
    this.about = element("small");
    this.soc = element("progress", { max: 100, "aria-label": `State of charge of ${id}` });
    this.list = new Facts();
    this.root = element("article", { class: "tile", "aria-label": `Car ${id}` },
      element("header", {}, element("h3", {}, id), this.stage), this.about, this.soc, this.list.root);
  }

  update(state) {
    const car = state.get(`vehicle/${this.id}`);
    if (!car) return;
    pill(this.stage, car.stage, "busy");
    text(this.about, [car.protocol, car.vin, car.station ? `at ${car.station}` : ""].filter(Boolean).join(" · "));
    const values = samplesOf(state, this.id);
    const soc = values.find(([, value]) => value.measurand === "SoC");
    show(this.soc, soc !== undefined);
    if (soc) this.soc.value = soc[1].value;
    const rows = values.map(([, value]) => [CAR[value.measurand] ?? value.measurand, sample(value)]);
    for (const [name, value] of Object.entries(car.limits ?? {})) rows.push(limit(name, value));
    this.list.update(rows);
  }
}

export class MeterTile {
  constructor(id) {
    this.id = id;
    this.online = element("span");
    this.about = element("small");
    this.list = new Facts();
    this.root = element("article", { class: "tile", "aria-label": `Meter ${id}` },
      element("header", {}, element("h3", {}, id), this.online), this.about, this.list.root);
  }

  update(state) {
    const meter = state.get(`meter/${this.id}`);
    const values = samplesOf(state, this.id);
    const stale = values.some(([, value]) => value.quality === "stale");
    pill(this.online, meter?.online ? (stale ? "stale" : "online") : "offline", meter?.online ? (stale ? "warn" : "good") : "bad");
    text(this.about, [meter?.model, meter?.serial].filter(Boolean).join(" · "));
    this.list.update(values.map(([, value]) => {
      const mark = value.quality === "good" ? "" : ` (${value.quality})`;
      return [[value.measurand, value.phase].filter(Boolean).join(" "), sample(value) + mark];
    }));
  }
}

class Facts {
  constructor() {
    this.root = element("dl");
    this.rows = new Map();
  }

  update(rows) {
    const wanted = new Set(rows.map(([name]) => name));
    for (const [name, nodes] of this.rows) {
      if (!wanted.has(name)) {
        nodes.forEach((node) => node.remove());
        this.rows.delete(name);
      }
    }
    for (const [name, value] of rows) {
      if (!this.rows.has(name)) {
        const nodes = [element("dt", {}, name), element("dd")];
        this.rows.set(name, nodes);
        this.root.append(...nodes);
      }
      text(this.rows.get(name)[1], value);
    }
  }
}

export function samplesOf(state, source) {
  const prefix = `sample/${source}/`;
  return [...state].filter(([key]) => key.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1));
}
