// Opens the dashboard in headless Chromium and uses it as its reader would.
//
// Arguments: its URL, the token that it asks for.
"use strict";
const { spawn } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const readline = require("node:readline");
const WebSocket = require("ws");

const PATIENCE_MS = 60_000;
const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
  "--disable-sync", "--remote-debugging-port=0"];

// What happens in the page.
async function use(token) {
  const $ = (id) => document.getElementById(id);
  const until = async (what, found) => {
    for (const start = Date.now(); Date.now() - start < 20_000;) {
      const it = found();
      if (it) return it;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`the page never shows ${what}:\n${document.body.innerText}`);
  };
  const press = (form) => $(form).querySelector("button").click();
  const lines = (id) => [...$(id).children];
  const message = (text) =>
    until(`"${text}"`, () => lines("messages").some((line) => line.textContent.includes(text)));
  const numbered = (name, value) => until(`${name} ${value}`, () =>
    lines("numbers").some((number) => number.textContent === name + value));

  await until("the login", () => !$("login").hidden);
  $("token").value = token;
  press("login");
  await until("readiness", () => $("state").textContent.startsWith("ready"));
  await until("a listener for it", () => $("url").value);
  press("connect");
  await message("connected");
  $("filter").value = "page/#";
  press("subscribe");
  await message("subscribed");
  Object.assign($("topic"), { value: "page/greeting" });
  Object.assign($("payload"), { value: "grüße" });
  press("publish");
  await message("page/greeting  grüße");
  await numbered("Clients", 1);
  const own = await until("its own client", () =>
    lines("clients").find((row) => row.textContent.startsWith("dashboard-")));
  window.confirm = () => true;
  own.querySelector("button").click();
  await message("connection closed");
  await numbered("Clients", 0);
  return "all is well";
}

// A connection of the DevTools protocol: commands that answer, and events by name.
function devtools(url) {
  const socket = new WebSocket(url);
  const waiting = new Map();
  let last = 0;
  socket.on("message", (text) => {
    const { id, method, result, error } = JSON.parse(text);
    const settle = waiting.get(id ?? method);
    waiting.delete(id ?? method);
    settle?.(error ? { error } : { result });
  });
  const answer = (key) => new Promise((resolve, reject) => waiting.set(key, ({ result, error }) =>
    error ? reject(new Error(error.message)) : resolve(result)));
  const send = (method, params = {}, sessionId = undefined) => {
    socket.send(JSON.stringify({ id: ++last, method, params, sessionId }));
    return answer(last);
  };
  return new Promise((resolve, reject) => {
    socket.on("open", () => resolve({ send, event: answer }));
    socket.on("error", reject);
  });
}

async function run(browser, [url, token]) {
  let address;
  for await (const line of readline.createInterface({ input: browser.stderr })) {
    [, address] = line.match(/^DevTools listening on (.*)$/) ?? [];
    if (address) break;
  }
  const { send, event } = await devtools(address);
  const { targetId } = await send("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
  await send("Page.enable", {}, sessionId);
  const loaded = event("Page.loadEventFired");
  await send("Page.navigate", { url }, sessionId);
  await loaded;
  const expression = `(${use})(${JSON.stringify(token)})`;
  const { result, exceptionDetails: thrown } =
    await send("Runtime.evaluate", { expression, awaitPromise: true }, sessionId);
  if (thrown) throw new Error(thrown.exception.description);
  return result.value;
}

const profile = fs.mkdtempSync(path.join(os.tmpdir(), "dashboard-"));
const browser = spawn("chromium", [...FLAGS, `--user-data-dir=${profile}`, "about:blank"],
  { detached: true, stdio: ["ignore", "ignore", "pipe"] });
const tooLong = new Promise((_, reject) =>
  setTimeout(() => reject(new Error("it takes too long")), PATIENCE_MS));
Promise.race([run(browser, process.argv.slice(2)), tooLong])
  .then((said) => { console.log(said); return 0; }, (error) => { console.error(error); return 1; })
  .then((code) => {
    browser.on("exit", () => {
      fs.rmSync(profile, { recursive: true, force: true, maxRetries: 10 });
      process.exit(code);
    });
    process.kill(-browser.pid, "SIGKILL");
  });
