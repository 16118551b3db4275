// A line of power over the last minutes, as SVG without a library. Colours come from the style sheet.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 600;
const HEIGHT = 120;

function svg(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

// Values of one key over time: one point a second at most, `seconds` long.
export class Series {
  constructor(seconds = 300) {
    this.seconds = seconds;
    this.points = [];
  }

  add(value, now = Date.now()) {
    const last = this.points.at(-1);
    if (last && now - last[0] < 1000) last[1] = value;
    else this.points.push([now, value]);
    const oldest = now - this.seconds * 1000;
    while (this.points.length > 2 && this.points[1][0] < oldest) this.points.shift();
  }

  // How much time the chart shows: what there is, at least one minute.
  window(now) {
    const age = this.points.length ? (now - this.points[0][0]) / 1000 : 0;
    return Math.min(this.seconds, Math.max(60, age));
  }
}

export class Chart {
  constructor(parent, series, label) {
    this.series = series;
    this.root = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label });
    this.area = svg("path", { class: "area" });
    this.line = svg("path", { class: "line" });
    this.scale = document.createElement("span");
    this.scale.className = "scale";
    this.root.append(this.area, this.line);
    parent.append(this.root, this.scale);
  }

  draw(now = Date.now()) {
    const { points } = this.series;
    const seconds = this.series.window(now);
    const top = Math.max(1000, ...points.map((point) => point[1])) * 1.1;
    const x = (at) => WIDTH * (1 - (now - at) / (seconds * 1000));
    const y = (value) => HEIGHT - (HEIGHT - 4) * (Math.max(0, value) / top) - 1;
    const steps = points.map(([at, value], index) => `${index ? "L" : "M"}${Math.max(0, x(at)).toFixed(1)} ${y(value).toFixed(1)}`);
    if (points.length) steps.push(`L${WIDTH} ${y(points.at(-1)[1]).toFixed(1)}`);
    const path = steps.join("");
    this.line.setAttribute("d", path);
    this.area.setAttribute("d", path ? `${path}L${WIDTH} ${HEIGHT}L${Math.max(0, x(points[0][0])).toFixed(1)} ${HEIGHT}Z` : "");
    const scale = `${(top / 1100).toFixed(1)} kW`;
    if (this.scale.textContent !== scale) this.scale.textContent = scale;
  }
}
