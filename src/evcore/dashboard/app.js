// The page: what the feed says, drawn at most four times a second.

import { Chart, Series } from "./chart.js";
import { element, Keyed, text } from "./dom.js";
import { Feed } from "./feed.js";
import { energy, money, power, time } from "./format.js";
import { ChargerTile, MeterTile, samplesOf, VehicleTile } from "./tiles.js";

const SESSIONS = 25;
const EVENTS = 100;
const LINK = { live: ["live", "good"], connecting: ["connecting", "warn"], offline: ["offline, trying again", "bad"], login: ["key needed", "warn"] };
const byId = (id) => document.getElementById(id);

const feed = new Feed({ onChange: redraw, onEvent: addEvent, onLink: showLink });
const chargers = new Keyed(byId("charger-tiles"), (id) => new ChargerTile(id, feed));
const vehicles = new Keyed(byId("vehicle-tiles"), (id) => new VehicleTile(id));
const meters = new Keyed(byId("meter-tiles"), (id) => new MeterTile(id));
const sessions = new Keyed(byId("session-rows"), (key) => new SessionRow(key));
const health = new Keyed(byId("health-rows"), (key) => new HealthRow(key));
const sitePower = new Series();
const siteChart = new Chart(byId("site-chart"), sitePower, "Site power over the last five minutes");

class SessionRow {
  constructor(key) {
    this.key = key;
    this.cells = Array.from({ length: 7 }, (_, column) => element("td", { class: column === 3 || column === 4 ? "number" : undefined }));
    this.root = element("tr", { "data-session": key }, ...this.cells);
  }

  update(state) {
    const session = state.get(this.key);
    const payment = session.payment ? state.get(`payment/${session.payment}`) : undefined;
    const values = [
      time(session.started), `${session.station} / ${session.evse}`, session.state, energy(session.energy_wh),
      money(session.cost, session.currency), payment ? payment.state : session.payment ? "…" : "–", session.reason ?? "–",
    ];
    values.forEach((value, column) => text(this.cells[column], value));
  }
}

class HealthRow {
  constructor(key) {
    this.key = key;
    this.state = element("span");
    this.name = element("span");
    this.root = element("li", {}, this.state, this.name);
  }

  update(state) {
    const item = state.get(this.key);
    const look = { up: "good", starting: "warn", degraded: "warn", down: "bad", stopped: "bad" }[item.state];
    text(this.state, item.state);
    this.state.className = look;
    text(this.name, [item.connector, item.detail].filter(Boolean).join(": "));
  }
}

function ids(prefix) {
  return [...feed.state.keys()].filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length)).sort();
}

// The site's meter where there is one; else what the chargers draw.
function siteWatts() {
  const total = (sources) => sources
    .flatMap((source) => samplesOf(feed.state, source))
    .filter(([, value]) => value.measurand === "Power.Active.Import" && !value.phase && value.quality !== "stale");
  const measured = total(ids("meter/"));
  if (measured.length) return [measured, "at the meter"];
  return [total(ids("charger/")), "drawn by the chargers"];
}

function draw() {
  const now = Date.now();
  const { state } = feed;
  const [values, from] = siteWatts();
  const watts = values.reduce((sum, [, value]) => sum + value.value, 0);
  text(byId("site-power"), values.length ? power(watts) : "–");
  text(byId("site-power-from"), values.length ? from : "site power");
  if (values.length) sitePower.add(watts, now);
  siteChart.draw(now);
  for (const tile of chargers.update(ids("charger/")).values()) tile.update(state, now);
  for (const tile of vehicles.update(ids("vehicle/")).values()) tile.update(state);
  for (const tile of meters.update(ids("meter/")).values()) tile.update(state);
  const newest = [...state].filter(([key]) => key.startsWith("session/"))
    .sort(([, a], [, b]) => (a.started < b.started ? 1 : -1)).slice(0, SESSIONS).map(([key]) => key);
  for (const row of sessions.update(newest).values()) row.update(state);
  for (const row of health.update([...state.keys()].filter((key) => key.startsWith("health/")).sort()).values()) row.update(state);
}

let scheduled = false;
function redraw() {
  if (scheduled) return;
  scheduled = true;
  setTimeout(() => { scheduled = false; draw(); }, 250);
}

function addEvent(event) {
  const look = { error: "bad", warning: "warn" }[event.severity] ?? "";
  const where = event.evse ? `${event.source} / ${event.evse}` : event.source;
  const row = element("li", {}, element("small", {}, time(event.time)), element("span", { class: look }, event.kind),
    element("span", {}, [where, event.text].filter(Boolean).join(": ")));
  const list = byId("event-rows");
  list.prepend(row);
  while (list.children.length > EVENTS) list.lastChild.remove();
}

function showLink(state) {
  const [label, look] = LINK[state];
  const node = byId("link");
  text(node, label);
  node.className = `pill ${look}`;
  if (state === "login" && !byId("login").open) byId("login").showModal();
}

byId("login").querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await fetch("/v1/login", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ key: byId("login-key").value }),
  }).catch(() => null);
  text(byId("login-answer"), answer?.ok ? "" : answer ? "That key is not known." : "The gateway does not answer.");
  if (answer?.ok) {
    byId("login").close();
    feed.connect();
  }
});

setInterval(draw, 1000); // charts move on, also while nothing changes
feed.connect();
