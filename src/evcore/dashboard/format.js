// Numbers, units and times as people read them.

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export function number(value, digits = 1) {
  return value === undefined || value === null || Number.isNaN(value) ? "–" : value.toFixed(digits);
}

export function power(watts) {
  if (watts === undefined || watts === null) return "–";
  return Math.abs(watts) < 1000 ? `${watts.toFixed(0)} W` : `${(watts / 1000).toFixed(2)} kW`;
}

export function energy(wattHours) {
  if (wattHours === undefined || wattHours === null) return "–";
  return wattHours < 1000 ? `${wattHours.toFixed(0)} Wh` : `${(wattHours / 1000).toFixed(3)} kWh`;
}

export function money(minor, currency) {
  if (minor === undefined || minor === null) return "–";
  try {
    const format = new Intl.NumberFormat(undefined, { style: "currency", currency });
    return format.format(minor / 10 ** format.resolvedOptions().maximumFractionDigits);
  } catch {
    return `${minor} ${currency ?? ""}`;
  }
}

export function time(text) {
  return text ? clock.format(new Date(text)) : "–";
}

export function sample(value) {
  if (!value) return "–";
  const { unit } = value;
  if (unit === "W") return power(value.value);
  if (unit === "Wh") return energy(value.value);
  if (unit === "Celsius") return `${number(value.value)} °C`;
  if (unit === "Percent") return `${number(value.value, 0)} %`;
  return `${number(value.value, unit === "Hz" ? 2 : 1)} ${unit}`;
}
