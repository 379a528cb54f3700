// The telephone on the page: what is clicked, typed, shown and heard. The line is at the other end of a WebSocket.

import { Sound } from "/sound.js";

const part = (id) => document.getElementById(id);
const telephone = part("telephone");
const sound = new Sound();

const state = {
  line: Math.max(1, Number.parseInt(new URLSearchParams(location.search).get("line") ?? "1", 10) || 1),
  rate: 8000,
  name: "",
  plugged: false,
  lifted: false,
  ringing: false,
  dialled: "",
  caller: null,
  missed: null,
  microphone: "",
  held: null,
  frames: 0,
};

let socket = null;
let retry = 500;
let callOver = 0;

// The line --------------------------------------------------------------------------------------------------------------

function plugIn() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  socket = new WebSocket(`${scheme}://${location.host}/line/${state.line}`);
  socket.binaryType = "arraybuffer";
  let taken = false;
  socket.onmessage = ({ data }) => {
    if (typeof data !== "string") {
      state.frames += 1;
      keepForTests(data);
      sound.play(data);
      return;
    }
    const said = JSON.parse(data);
    if (said.taken) taken = true;
    hear(said);
  };
  socket.onclose = () => {
    const was = state.plugged;
    state.plugged = false;
    if (state.lifted) putDown();
    stopRinging();
    show(taken ? "Another handset is on this line" : was ? "Unplugged" : "No line");
    hint(taken
      ? "Hang up the other one: this page tries again by itself."
      : "The router does not answer. This page tries again by itself.");
    retry = Math.min(retry * 1.6, 5000);
    setTimeout(plugIn, taken ? 2000 : retry);
  };
}

function tell(message) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

function hear(said) {
  if (said.line !== undefined) {
    Object.assign(state, { plugged: true, rate: said.rate, name: said.line });
    retry = 500;
    showLines(said.lines ?? 1);
    idle();
  } else if (said.ring !== undefined) {
    if (said.ring > 0) startRinging(said.ring);
    else pauseRinging();
  } else if (said.caller !== undefined) {
    state.caller = said.caller;
    showCaller(said.caller, state.lifted ? "Call waiting" : "Incoming call");
  } else if (said.waiting !== undefined) {
    part("lamp").hidden = !said.waiting;
  } else if (said.tone !== undefined && state.lifted && said.tone === "busy") {
    show("Busy");
  }
}

// The receiver ----------------------------------------------------------------------------------------------------------

async function lift() {
  if (state.lifted || !state.plugged) return;
  state.lifted = true;
  const answering = state.ringing;
  stopRinging();
  telephone.dataset.state = "lifted";
  part("receiver").setAttribute("aria-pressed", "true");
  part("receiver-label").textContent = "Hang up";
  state.dialled = "";
  if (!answering) number("");
  show(answering ? "Connected" : "Line open");
  if (!answering) part("name").textContent = "\u00a0";
  hint(answering ? "Speak." : "Dial 600 to hear yourself, 601 for the time, 602 to be called back.");
  // The hook first: whatever the browser asks about sound, the line is open.
  tell({ hook: true });
  await sound.wake();
  await sound.connect(state.rate);
  if (!state.lifted) return;
  state.microphone = await sound.openMicrophone();
  if (state.microphone && state.lifted) {
    hint(`You can listen and dial, but nobody hears you: ${state.microphone}.`);
  }
}

function hangUp() {
  if (!state.lifted) return;
  tell({ hook: false });
  putDown();
  idle();
}

function putDown() {
  state.lifted = false;
  release();
  sound.disconnect();
  state.caller = null;
  telephone.dataset.state = state.plugged ? "idle" : "unplugged";
  part("receiver").setAttribute("aria-pressed", "false");
  part("receiver-label").textContent = "Lift the receiver";
}

function toggle() {
  if (state.lifted) hangUp();
  else lift();
}

// The bell --------------------------------------------------------------------------------------------------------------

function startRinging(hertz) {
  if (state.lifted) return;
  state.ringing = true;
  clearTimeout(callOver);
  telephone.dataset.ringing = "";
  sound.ring(hertz);
  navigator.vibrate?.([400, 200, 400]);
  if (!state.caller) show("Incoming call");
  hint(sound.heard
    ? "Lift the receiver to answer."
    : "It rings! Lift the receiver to answer. (The bell is heard once you have clicked on this page.)");
}

function pauseRinging() {
  delete telephone.dataset.ringing;
  sound.stopRinging();
  clearTimeout(callOver);
  // Between two rings it is silent for up to five seconds.
  callOver = setTimeout(() => {
    if (!state.ringing) return;
    state.ringing = false;
    state.missed = state.caller;
    state.caller = null;
    idle();
  }, 6500);
}

function stopRinging() {
  state.ringing = false;
  clearTimeout(callOver);
  delete telephone.dataset.ringing;
  sound.stopRinging();
}

// Keys ------------------------------------------------------------------------------------------------------------------

function press(key) {
  if (state.held === key) return;
  release();
  state.held = key;
  buttonOf(key)?.classList.add("down");
  if (!state.lifted) return;
  tell({ key, down: true });
  state.dialled += key;
  number(state.dialled);
  if (part("status").textContent !== "Connected") show("Dialled");
}

function release() {
  if (state.held === null) return;
  buttonOf(state.held)?.classList.remove("down");
  if (state.lifted) tell({ key: state.held, down: false });
  state.held = null;
}

function flash() {
  if (!state.lifted) return;
  // Within what every country's line takes for a flash.
  tell({ flash: 250 });
  state.dialled = "";
  number("");
  show("Flash");
}

function mute() {
  sound.muted = !sound.muted;
  part("mute").setAttribute("aria-pressed", String(sound.muted));
}

const buttonOf = (key) => document.querySelector(`[data-key="${CSS.escape(key)}"]`);

// The display -----------------------------------------------------------------------------------------------------------

function show(text) {
  part("status").textContent = text;
}

function number(text) {
  const place = part("number");
  place.textContent = text || "\u00a0";
  place.classList.toggle("long", text.length > 14);
}

function hint(text) {
  part("hint").textContent = text || "\u00a0";
}

function showCaller(caller, what) {
  show(what);
  number(caller.number || (caller.absent === "private" ? "Private" : "Unknown"));
  part("name").textContent = caller.name || "\u00a0";
}

function idle() {
  telephone.dataset.state = state.plugged ? "idle" : "unplugged";
  show(state.name ? `Line ${state.line}` : "No line");
  if (state.missed) {
    showCaller(state.missed, "Missed call");
    state.missed = null;
  } else {
    number("");
    part("name").textContent = "\u00a0";
  }
  hint("Lift the receiver: you will hear dial tone.");
}

function showLines(count) {
  const place = part("lines");
  place.hidden = count < 2;
  place.replaceChildren(...Array.from({ length: count }, (_, at) => {
    const link = document.createElement("a");
    link.href = `?line=${at + 1}`;
    link.textContent = `Line ${at + 1}`;
    if (at + 1 === state.line) link.setAttribute("aria-current", "page");
    return link;
  }));
}

function tick() {
  const now = new Date();
  part("clock").textContent = now.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

// Hands -----------------------------------------------------------------------------------------------------------------

part("receiver").addEventListener("click", toggle);
part("flash").addEventListener("click", flash);
part("mute").addEventListener("click", mute);
part("volume").addEventListener("input", ({ target }) => sound.setVolume(target.value / 100));
for (const button of document.querySelectorAll("[data-key]")) {
  const key = button.dataset.key;
  button.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    button.setPointerCapture?.(event.pointerId);
    press(key);
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) button.addEventListener(end, release);
  // Enter on a focused key, or a screen reader: a press of its own.
  button.addEventListener("click", (event) => {
    if (event.detail !== 0) return;
    press(key);
    setTimeout(release, 120);
  });
}
addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  const onButton = event.target instanceof HTMLButtonElement || event.target instanceof HTMLAnchorElement;
  if (event.target instanceof HTMLInputElement && !/^[0-9*#]$/.test(event.key)) return;
  if (/^[0-9*#]$/.test(event.key)) press(event.key);
  else if (event.key === " " && (!onButton || event.target.dataset.key)) toggle();
  else if (event.key === "Escape") hangUp();
  else if (event.key.toLowerCase() === "f") flash();
  else if (event.key.toLowerCase() === "m") mute();
  else return;
  event.preventDefault();
});
addEventListener("keyup", (event) => {
  if (event.key === state.held) release();
});
addEventListener("blur", release);
addEventListener("pointerdown", () => sound.wake(), { capture: true });
addEventListener("pagehide", () => tell({ hook: false }));

sound.onSamples = (samples) => {
  if (state.lifted && socket?.readyState === WebSocket.OPEN && socket.bufferedAmount < 16_000) socket.send(samples);
};

// The newest second from the line, for the curious and for the tests.
const newest = [];
function keepForTests(data) {
  newest.push(new Int16Array(data.slice(0)));
  if (newest.length > 100) newest.shift();
}
window.handset = { state, sound, newest: () => newest.flatMap((piece) => [...piece]), forget: () => newest.splice(0) };

setInterval(() => {
  part("level").value = state.lifted ? sound.level() : 0;
}, 60);
tick();
setInterval(tick, 5000);
plugIn();
