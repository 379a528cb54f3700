// Fills the status page from /api/status and /api/events. Text only ever goes in as text, so names cannot carry markup.
"use strict";

const SECOND = 1000;
const POINTS = 60;
const history = [];
let last = null;

const element = (name, text, className) => {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
};

const size = (bytes) => {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (bytes >= 1000 && unit < units.length - 1) { bytes /= 1000; unit += 1; }
  return `${bytes < 10 && unit > 0 ? bytes.toFixed(1) : Math.round(bytes)} ${units[unit]}`;
};

const rate = (bits) => bits >= 1e6 ? `${(bits / 1e6).toFixed(1)} Mbit/s` : `${Math.round(bits / 1e3)} kbit/s`;

const span = (seconds) => {
  const days = Math.floor(seconds / 86400), hours = Math.floor(seconds / 3600) % 24, minutes = Math.floor(seconds / 60) % 60;
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
};

const seen = (device) => {
  if (device.online) return "online";
  return device.silent_seconds === null ? "not seen yet" : `${span(device.silent_seconds)} ago`;
};

// A cell that stands under others like it, digit below digit.
const amount = (bytes) => element("td", size(bytes), "number");

// The time of day once the router knows it; until then how long after its start.
const moment = (seconds, started) => {
  if (started === null) return span(Math.floor(seconds));
  const when = new Date((started + seconds) * SECOND);
  return when.toDateString() === new Date().toDateString() ? when.toLocaleTimeString() : when.toLocaleString();
};

const facts = (id, pairs) => document.getElementById(id).replaceChildren(
  ...pairs.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));

const rows = (id, list, empty) => {
  const body = document.getElementById(id);
  if (list.length === 0) {
    const row = element("tr", ""), cell = element("td", empty, "quiet");
    cell.colSpan = 6;
    row.append(cell);
    body.replaceChildren(row);
    return;
  }
  body.replaceChildren(...list.map((cells) => {
    const row = element("tr", "");
    row.append(...cells.map((cell) => cell instanceof Node ? cell : element("td", cell)));
    return row;
  }));
};

const draw = (status) => {
  const wan = status.ports.filter((port) => port.zone === "wan");
  const now = { at: status.uptime_seconds, down: wan.reduce((sum, port) => sum + port.bytes_in, 0), up: wan.reduce((sum, port) => sum + port.bytes_out, 0) };
  if (last && now.at > last.at) {
    const seconds = now.at - last.at;
    history.push({ down: Math.max(0, now.down - last.down) * 8 / seconds, up: Math.max(0, now.up - last.up) * 8 / seconds });
    if (history.length > POINTS) history.shift();
  }
  if (!last || now.at > last.at) last = now;
  const top = Math.max(1e5, ...history.flatMap((point) => [point.down, point.up]));
  for (const way of ["down", "up"]) {
    const points = history.map((point, index) => `${(POINTS - history.length + index) * 240 / (POINTS - 1)},${58 - point[way] / top * 54}`);
    document.getElementById(way).setAttribute("points", points.join(" "));
    document.getElementById(`${way}-now`).textContent = rate(history.length ? history[history.length - 1][way] : 0);
  }
};

const show = (status) => {
  const sentence = document.getElementById("sentence");
  sentence.textContent = status.sentence;
  sentence.className = status.wan.up ? "" : "wrong";
  facts("internet", [
    ["State", status.wan.up ? "up" : `down: ${status.wan.reason}`],
    ["Address", status.wan.address || "–"],
    ["Gateway", status.wan.gateway || "–"],
    ["Name servers", status.wan.dns.join(", ") || "–"],
    ["Connections", `${status.flows.in_use} of ${status.flows.capacity}`],
    ["Running for", span(status.uptime_seconds)],
    ["Version", status.version],
  ]);
  const { lines, numbers } = status.telephone;
  document.getElementById("telephone-section").hidden = lines.length === 0;
  facts("telephone", [
    ...lines.map((line, index) => [`Line ${index + 1}`, line.state]),
    ...numbers.map((number) => [number.number, number.state]),
    ...(numbers.length ? [] : [["Numbers", "none set: only calls between the lines"]]),
  ]);
  rows("devices", status.devices.map((device) => [device.name || device.mac, device.address || "–", device.port ? `${device.zone}, ${device.port}` : device.zone, seen(device), amount(device.bytes_in), amount(device.bytes_out)]), "No device has joined yet.");
  rows("ports", status.ports.map((port) => [port.name, port.zone, port.link ? "up" : "down", amount(port.bytes_in), amount(port.bytes_out)]), "No ports.");
  // ARP for the router itself arrived where it should: counted, but nothing was refused.
  const drops = status.drops.filter((drop) => drop.count > 0 && drop.reason !== "arp-consumed");
  facts("drops", drops.length ? drops.map((drop) => [drop.reason, String(drop.count)]) : [["Nothing so far", ""]]);
  draw(status);
};

const tell = (events, started) => document.getElementById("events").replaceChildren(...events.slice().reverse().map((entry) => {
  const item = element("li", "");
  item.append(element("time", moment(entry.at_seconds, started)), element("span", entry.text));
  return item;
}));

const tick = async () => {
  try {
    const status = await (await fetch("/api/status")).json();
    show(status);
    const started = status.unix_time === null ? null : status.unix_time - status.uptime_seconds;
    tell((await (await fetch("/api/events")).json()).events, started);
  } catch {
    const sentence = document.getElementById("sentence");
    sentence.textContent = "The router does not answer. Is this device still connected to it?";
    sentence.className = "wrong";
  }
  setTimeout(tick, 2 * SECOND);
};

tick();
