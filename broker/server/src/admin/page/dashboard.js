"use strict";
const $ = (id) => document.getElementById(id);

// The API.

let token = sessionStorage.getItem("token") || "";

async function api(path, method = "GET") {
  const headers = token ? { Authorization: "Bearer " + token } : {};
  const answer = await fetch("api/v1/" + path, { method, headers });
  $("login").hidden = answer.status !== 401;
  if (!answer.ok) throw new Error((await answer.json()).error);
  return answer.status === 204 ? null : answer.json();
}

$("login").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token").value;
  sessionStorage.setItem("token", token);
  refresh();
});

// What is shown.

const NUMBERS = [
  ["Clients", (now) => now.gauges.clients_connected],
  ["Sessions", (now) => now.gauges.sessions],
  ["Subscriptions", (now) => now.gauges.subscriptions],
  ["Retained", (now) => now.gauges.retained_messages],
  ["Queued", (now) => now.gauges.queued_messages],
  ["Memory, MiB", (now) => Math.round(now.gauges.resident_memory_bytes / 1048576)],
  ["Received a second", (now, rate) => rate("publishes_received_total")],
  ["Sent a second", (now, rate) => rate("publishes_sent_total")],
];

let before = null;
let after = "";

async function refresh() {
  try {
    const now = await api("stats");
    now.at = performance.now();
    const rate = (name) => {
      const grown = before ? now.counters[name] - before.counters[name] : 0;
      return before ? Math.round((grown * 1000) / (now.at - before.at)) : "…";
    };
    $("version").textContent = now.version;
    state(now.ready ? "ready, up " + duration(now.gauges.uptime_seconds) : "not ready", !now.ready);
    $("numbers").replaceChildren(...NUMBERS.map(([name, value]) => number(name, value(now, rate))));
    before = now;
    await Promise.all([showListeners(), showBridges(), showPlugins(), showClients()]);
  } catch (error) {
    state(error.message, true);
  }
}

function state(text, bad) {
  $("state").textContent = text;
  $("state").classList.toggle("bad", bad);
}

function number(name, value) {
  return element("div", element("dt", name), element("dd", String(value)));
}

async function showListeners() {
  const { listeners } = await api("listeners");
  $("listeners").replaceChildren(...listeners.map((listener) => row(
    listener.name, listener.address, listener.protocol + (listener.tls ? ", TLS" : ""),
    listener.connections)));
  const socket = listeners.find((listener) => listener.protocol === "websockets");
  if (socket && !$("url").value) $("url").value = socketUrl(socket);
}

// An address of all interfaces is the one that this page came from.
function socketUrl({ address, tls, path }) {
  const [, host, port] = address.match(/^(.*):(\d+)$/) || [];
  if (!port) return "";
  const everywhere = host === "[::]" || host === "0.0.0.0";
  return (tls ? "wss://" : "ws://") + (everywhere ? location.hostname : host) + ":" + port + path;
}

async function showBridges() {
  const { bridges } = await api("bridges");
  showIfAny("bridges", bridges.map((bridge) => row(
    bridge.name, bridge.connected ? "connected" : bridge.last_error || "not connected",
    bridge.out.messages, bridge.in.messages, bridge.out.dropped + bridge.in.dropped)));
}

async function showPlugins() {
  const { plugins } = await api("plugins");
  const sum = (faults) => Object.values(faults).reduce((all, one) => all + one, 0);
  showIfAny("plugins", plugins.map((plugin) => row(
    plugin.name, plugin.class, plugin.version, plugin.calls, sum(plugin.faults), plugin.breaker)));
}

function showIfAny(id, rows) {
  $(id).closest("section").hidden = rows.length === 0;
  $(id).replaceChildren(...rows);
}

async function showClients() {
  const { clients, next } = await api("clients?limit=50&after=" + encodeURIComponent(after));
  $("clients").replaceChildren(...clients.map(clientRow));
  $("next").disabled = next === null;
  $("next").onclick = () => { after = next; refresh(); };
}

$("first").onclick = () => { after = ""; refresh(); };

function clientRow(client) {
  const button = element("button", "Disconnect");
  button.disabled = !client.connected;
  button.onclick = async () => {
    if (!confirm("Disconnect " + client.client_id + "?")) return;
    try {
      await api("clients/" + encodeURIComponent(client.client_id), "DELETE");
    } catch (error) {
      state(error.message, true);
    }
    refresh();
  };
  return row(client.client_id, client.connected ? "yes" : "no", client.subscription_count,
    client.queued_messages, button);
}

function row(...cells) {
  return element("tr", ...cells.map((cell) => element("td", cell instanceof Node ? cell : String(cell))));
}

function element(name, ...children) {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}

function duration(seconds) {
  const units = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]];
  const [size, unit] = units.find(([size]) => seconds >= size) || [1, "s"];
  return Math.floor(seconds / size) + " " + unit;
}

// The test client: MQTT 3.1.1 with QoS 0, in a few functions.

const MESSAGES = 200;
let socket = null;
let received = new Uint8Array();

const utf8 = (text) => new TextEncoder().encode(text);
const string = (text) => { const bytes = utf8(text); return [bytes.length >> 8, bytes.length & 255, ...bytes]; };

function packet(type, body) {
  const length = [];
  let rest = body.length;
  do {
    const more = rest >= 128;
    length.push((rest % 128) | (more ? 128 : 0));
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  socket.send(new Uint8Array([type, ...length, ...body]));
}

function connectPacket(user, password) {
  const flags = 2 | (user ? 128 : 0) | (user && password ? 64 : 0);
  const id = "dashboard-" + Math.random().toString(36).slice(2, 10);
  packet(0x10, [...string("MQTT"), 4, flags, 0, 30, ...string(id),
    ...(user ? string(user) : []), ...(user && password ? string(password) : [])]);
}

function onBytes(data) {
  const joined = new Uint8Array(received.length + data.byteLength);
  joined.set(received);
  joined.set(new Uint8Array(data), received.length);
  received = joined;
  for (;;) {
    let length = 0, at = 1, byte = 128;
    for (let factor = 1; byte & 128; factor *= 128) {
      if (at >= received.length) return;
      byte = received[at++];
      length += (byte & 127) * factor;
    }
    if (received.length < at + length) return;
    onPacket(received[0], received.subarray(at, at + length));
    received = received.slice(at + length);
  }
}

function onPacket(first, body) {
  const type = first >> 4;
  if (type === 2) onConnack(body[1]);
  if (type === 3) onPublish(first, body);
  if (type === 9) note(body[2] === 128 ? "not allowed to subscribe" : "subscribed");
}

function onConnack(code) {
  note(code === 0 ? "connected" : "refused with code " + code);
  if (code === 0) enable(true);
}

function onPublish(first, body) {
  const end = 2 + body[0] * 256 + body[1];
  const text = (bytes) => new TextDecoder().decode(bytes);
  const payload = text(body.subarray(end)).slice(0, 1000);
  note(text(body.subarray(2, end)) + (first & 1 ? " (retained)" : "") + "  " + payload);
}

function note(text) {
  $("messages").prepend(element("li", new Date().toLocaleTimeString() + "  " + text));
  while ($("messages").children.length > MESSAGES) $("messages").lastChild.remove();
}

function enable(on) {
  for (const form of ["subscribe", "publish"]) $(form).querySelector("button").disabled = !on;
  $("toggle").textContent = socket ? "Disconnect" : "Connect";
}

$("connect").addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket) return socket.close();
  try {
    socket = new WebSocket($("url").value, "mqtt");
  } catch (error) {
    return note(error.message);
  }
  const own = socket;
  received = new Uint8Array();
  own.binaryType = "arraybuffer";
  own.onopen = () => connectPacket($("user").value, $("password").value);
  own.onmessage = ({ data }) => onBytes(data);
  const ping = setInterval(() => own.readyState === 1 && packet(0xc0, []), 20000);
  own.onclose = () => {
    clearInterval(ping);
    socket = null;
    note("connection closed");
    enable(false);
  };
  enable(false);
});

$("subscribe").addEventListener("submit", (event) => {
  event.preventDefault();
  packet(0x82, [0, 1, ...string($("filter").value), 0]);
});

$("publish").addEventListener("submit", (event) => {
  event.preventDefault();
  packet(0x30 | ($("retain").checked ? 1 : 0), [...string($("topic").value), ...utf8($("payload").value)]);
});

refresh();
setInterval(refresh, 2000);
