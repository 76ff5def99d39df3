// The page: takes frames from the server, keeps a playhead over them, and shows the frame it stands on.

import { Frames } from "./frames.js";
import { chart, fit, palette, Picture } from "./draw.js";
import { Hands } from "./hands.js";
import { Pad } from "./pad.js";

const SPEEDS = [0.25, 0.5, 1, 2, 4];
const CHART_SECONDS = 10;
const HISTORY_BATCH = 60; // a live message of more frames than this brings the past, not the present
const RETRY_MS = [500, 1000, 2000, 4000];
const LONGEST_TICK_MS = 250;
const WORDS_MS = 250;
const LOST_AFTER = 3; // tries without an answer after which a page no longer says that it waits
const DOTS = 9; // more lives than these are told as a number

const find = (id) => document.getElementById(id);
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const GONE = "the server has stopped; what it showed stays here, and goes on if it comes back";
const page = Object.fromEntries(
  ["title", "where", "link", "screen", "words", "scrub", "back", "play", "forward", "speed", "newest", "clock", "players",
    "drift", "unit", "box", "sides", "cu", "received", "late-row", "late", "missed-row", "missed", "right-row", "right", "digest-row", "digest", "said", "player", "keys",
    "help", "help-open"].map((id) => [id, find(id)]),
);

let frames = null;
let picture = null;
let cards = [];
let hands = null; // of the page's own player, where the page plays
let colours = palette();

// ---------------------------------------------------------------------------------------------------------- playhead

// place: the frame that is shown, with a fraction while playing slowly. follow: it stays with the newest frame.
const head = { place: 0, playing: false, follow: false, ended: false };
let wanted = null; // frame number to go back to after the connection was lost
let resume = true; // whether the next greeting starts to play: the first one, and one after a session that was followed
let ticked = 0;
let waiting = false;
let stale = true;

function shown() {
  return Math.min(Math.max(Math.floor(head.place), frames.first), frames.last);
}

function refresh() {
  stale = true;
  again();
}

function again() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(tick);
}

function tick(now) {
  waiting = false;
  const elapsed = Math.min(now - ticked, LONGEST_TICK_MS);
  ticked = now;
  if (!frames || frames.count === 0) return;
  if (head.follow) head.place = frames.last;
  else if (head.playing) advance(elapsed);
  if (stale || !picture.settled) show(elapsed);
  if (!picture.settled || (head.playing && !head.follow)) again();
}

function advance(elapsed) {
  const before = shown();
  head.place = Math.max(head.place, frames.first) + (elapsed / 1000) * frames.hello.fps * speed();
  if (head.place >= frames.last) {
    head.place = frames.last;
    if (head.ended) setPlaying(false);
    else if (frames.hello.live) follow();
  }
  stale ||= shown() !== before;
}

function speed() {
  return Number(page.speed.value);
}

function setPlaying(playing) {
  resume = false;
  head.playing = playing;
  if (!playing) head.follow = false;
  page.play.setAttribute("aria-label", playing ? "Pause" : "Play");
  page.play.classList.toggle("playing", playing);
  page.newest.setAttribute("aria-pressed", String(head.follow));
  if (playing) ticked = performance.now();
  refresh();
}

function follow() {
  head.follow = frames.hello.live && !head.ended;
  setPlaying(head.follow);
}

function seek(place) {
  setPlaying(false);
  head.place = Math.min(Math.max(place, frames.first), frames.last);
  refresh();
}

const actions = {
  toggle() {
    if (!head.playing && head.place >= frames.last && head.ended) head.place = frames.first;
    setPlaying(!head.playing);
    say(head.playing ? "Playing" : `Paused at frame ${frames.at(shown()).n}`);
  },
  step: (by) => seek(shown() + by),
  second: (sign) => seek(shown() + sign * frames.hello.fps),
  oldest: () => seek(frames.first),
  newest() {
    head.place = frames.last;
    follow();
    say(head.follow ? "Following the newest frame" : `Newest frame, ${frames.at(frames.last).n}`);
  },
  speed(by) {
    const next = SPEEDS[Math.min(Math.max(SPEEDS.indexOf(speed()) + by, 0), SPEEDS.length - 1)];
    page.speed.value = String(next);
    changedSpeed();
  },
  words: () => say(frames.words(frames.at(shown()))),
};

// A live session cannot be followed at another pace: one that is slowed down is left behind, and caught up with later.
function changedSpeed() {
  if (head.follow && speed() < 1) head.follow = false;
  setPlaying(head.playing);
  say(`Speed ${speed()}`);
}

// ------------------------------------------------------------------------------------------------------------ showing

function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

function show(elapsed) {
  stale = false;
  const place = shown();
  const message = frames.at(place);
  picture.draw(frames, place, colours, calm.matches ? Infinity : elapsed);
  cards.forEach((card) => card.show(message));
  showTransport(place, message);
  showFigures(place, message);
  showWords(message);
  document.documentElement.dataset.frame = message.n;
}

function showTransport(place, message) {
  const seconds = `${(message.n / frames.hello.fps).toFixed(2)} s`;
  page.scrub.min = frames.first;
  page.scrub.max = frames.last;
  page.scrub.value = place;
  page.scrub.setAttribute("aria-valuetext", `frame ${message.n}, ${seconds}`);
  text(page.clock, `frame ${message.n.toLocaleString("en")} · ${seconds}`);
}

function showFigures(place, message) {
  showChart(page.drift, place, frames.hasTruth, (m) => m.drift, message.drift?.toFixed(2), colours.ink);
  showChart(page.cu, place, frames.hasCost, (m) => m.cu, message.cu?.toLocaleString("en"), colours.ink);
  page["late-row"].hidden = !frames.hello.live;
  text(page.late, frames.late.toLocaleString("en"));
  page["missed-row"].hidden = frames.missed === 0;
  text(page.missed, frames.missed.toLocaleString("en"));
  page["digest-row"].hidden = message.digest === null;
  text(page.digest, message.digest ?? "");
  page["right-row"].hidden = message.right === undefined;
  text(page.right, message.right === undefined ? "" : `${(100 * message.right).toFixed(1)} %`);
  text(page.received, frames.hello.live ? `${rate().toFixed(1)} fps` : `${frames.count.toLocaleString("en")} frames`);
}

// What a chart spans: everything of a rollout, the last seconds before the head (at least) of a live session.
function span(place) {
  if (!frames.hello.live) return [frames.first, frames.last];
  const length = CHART_SECONDS * frames.hello.fps;
  const to = Math.min(frames.last, Math.max(place, frames.first + length));
  return [Math.max(frames.first, to - length), to];
}

function showChart(figure, place, there, read, value, colour) {
  if (figure.hidden === there) {
    figure.hidden = !there;
    resized();
  }
  if (!there) return;
  text(figure.querySelector("output"), value ?? "–");
  const [from, to] = span(place);
  chart(figure.querySelector("canvas"), frames, { from, to, head: place, read, colour, text: colours.soft });
}

let worded = -Infinity;
let later = 0;

// The summary in words changes at most four times a second while frames run, so that the eye can follow.
function showWords(message) {
  const now = performance.now();
  clearTimeout(later);
  if (head.playing && now - worded < WORDS_MS) {
    later = setTimeout(() => showWords(frames.at(shown())), WORDS_MS - (now - worded));
    return;
  }
  worded = now;
  text(page.words, frames.words(message));
}

let saying = 0;

// For screen readers: one thing at a time, politely.
function say(words) {
  clearTimeout(saying);
  saying = setTimeout(() => text(page.said, words), 100);
}

class Card {
  constructor(player) {
    const node = page.player.content.cloneNode(true).querySelector("article");
    this.player = player;
    this.lives = null;
    this.part = Object.fromEntries(
      ["lives", "damage", "action", "really", "numbers"].map((part) => [part, node.querySelector(`.${part}`)]),
    );
    node.classList.add(`s${player}`);
    node.setAttribute("aria-label", frames.called(player));
    node.querySelector("rect").setAttribute("rx", player ? 2 : 5);
    node.querySelector("h2").textContent = `P${player + 1} ${frames.hello.cast[player]}`;
    this.lead();
    this.figures = frames.hello.figures.map((figure) => this.figure(figure));
    this.meter = this.bar(node.querySelector("meter"));
    this.pad = new Pad(node.querySelector(".pad"), `Controller of player ${player + 1}`, frames.hello);
    page.players.append(node);
  }

  // What a game has no role for is not shown.
  lead() {
    const { roles } = frames.hello;
    this.part.damage.hidden = !roles.damage;
    if (roles.damage) this.part.damage.querySelector("small").textContent = frames.field(roles.damage).unit;
    this.part.action.hidden = !roles.action;
    this.part.lives.hidden = !roles.lives;
  }

  // A named number; gives what updates it.
  figure({ field, label, digits, up }) {
    const [row, name, number] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
    name.textContent = label;
    number.dataset.field = field;
    row.append(name, number);
    this.part.numbers.append(row);
    return (value) => text(number, up ? String(Math.ceil(value(field)) || "–") : value(field).toFixed(digits));
  }

  // The number that is a bar as well; gives what updates it.
  bar(node) {
    const { meter } = frames.hello;
    node.hidden = !meter;
    if (!meter) return () => {};
    node.max = frames.field(meter.field).high;
    node.setAttribute("aria-label", meter.label);
    return (value) => {
      node.value = value(meter.field);
    };
  }

  show(message) {
    const value = (name) => frames.value(message, this.player, name);
    const action = frames.action(message, this.player);
    const really = message.real ? frames.action(message, this.player, "real") : action;
    const lives = frames.role(message, this.player, "lives");
    text(this.part.damage.querySelector("span"), String(frames.damage(message, this.player) ?? ""));
    text(this.part.action, action);
    this.part.really.hidden = !message.real || !frames.hello.roles.action;
    text(this.part.really, really === action ? "as in the replay" : `replay: ${really}`);
    this.part.really.classList.toggle("differs", really !== action);
    this.figures.forEach((update) => update(value));
    this.meter(value);
    if (lives !== null) this.showLives(Math.round(lives));
    this.pad.draw(message.inputs && ((name) => frames.input(message, this.player, name)));
  }

  showLives(lives) {
    if (lives === this.lives) return;
    if (head.playing && this.lives !== null && lives < this.lives) {
      say(`${frames.called(this.player)}, has lost a ${frames.hello.life[0]}; ${lives} left`);
    }
    this.lives = lives;
    const most = frames.field(frames.hello.roles.lives).high;
    text(this.part.lives, most > DOTS ? frames.lives(lives) : "●".repeat(lives) + "○".repeat(Math.max(0, most - lives)));
    this.part.lives.setAttribute("role", "img");
    this.part.lives.setAttribute("aria-label", frames.lives(lives));
  }
}

function resized() {
  for (const canvas of document.querySelectorAll("canvas")) fit(canvas);
  refresh();
}

// ------------------------------------------------------------------------------------------------------------- server

let retries = 0;
let arrivals = [];

function linked(state, words) {
  page.link.dataset.state = state;
  text(page.link, words);
}

// Frames of the last second that passed before now.
function rate() {
  const now = performance.now();
  arrivals = arrivals.filter(([at]) => now - at < 1000);
  return arrivals.reduce((sum, [, count]) => sum + count, 0);
}

function greet(hello) {
  wanted = frames && frames.count && !head.follow ? frames.at(shown()).n : null;
  frames = new Frames(hello);
  picture = new Picture(page.screen, hello);
  arrivals = [];
  hands?.stop();
  hands = hello.pad && new Hands(hello, tell);
  page.keys.hidden = !hello.pad;
  if (hello.pad) text(page.keys, `You are P1. ${Object.entries(hello.pad.keys).map(([key, [name, value]]) => `${key} ${name}${value < 0 ? " −" : ""}`).join(" · ")} · Enter begins again. A gamepad works too.`);
  page.players.replaceChildren();
  cards = [0, 1].map((player) => new Card(player));
  document.title = `${hello.title} · wmq watch`;
  text(page.title, hello.title);
  text(page.where, [hello.place.name, hello.cast.filter(Boolean).join(" and ")].filter(Boolean).join(" · "));
  text(page.unit, `mean position error, ${frames.unit}`);
  text(page.box, hello.box);
  page.sides.hidden = !hello.looks.side;
  head.ended = false;
  head.place = 0;
  linked("on", hello.live ? "live" : "computing");
  if (resume) {
    wanted = null;
    head.follow = hello.live;
    setPlaying(hello.live || !calm.matches);
  }
}

function receive(messages) {
  if (!(frames.hello.live && messages.length > HISTORY_BATCH)) arrivals.push([performance.now(), messages.length]);
  for (const message of messages) frames.add(message);
  const place = wanted === null ? null : frames.place(wanted);
  if (place !== null) {
    head.place = place;
    wanted = null;
  }
  refresh();
}

function finish(why) {
  const followed = head.follow;
  head.ended = true;
  if (followed) setPlaying(false);
  resume = followed;
  linked(why === null ? "off" : "bad", why === null ? frames.hello.over : `stopped: ${why}`);
  say(page.link.textContent);
}

// The server is gone. After an end that is no loss: what was shown stays. The page goes on by itself if one comes back.
function lost() {
  if (frames && head.ended) return;
  linked("bad", retries < LOST_AFTER ? "connection lost, trying again" : GONE);
}

let socket = null;

function tell(said) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(said));
}

function connect() {
  socket = new WebSocket(`ws://${window.location.host}/feed`);
  socket.addEventListener("message", (event) => {
    const data = JSON.parse(event.data);
    retries = 0;
    if (data.hello) greet(data.hello);
    if (data.frames) receive(data.frames);
    if ("end" in data) finish(data.end);
  });
  socket.addEventListener("close", () => {
    lost();
    setTimeout(connect, RETRY_MS[Math.min(retries++, RETRY_MS.length - 1)]);
  });
}

// ---------------------------------------------------------------------------------------------------------- the hands

const KEYS = {
  " ": () => actions.toggle(),
  ArrowLeft: (event) => (event.shiftKey ? actions.second(-1) : actions.step(-1)),
  ArrowRight: (event) => (event.shiftKey ? actions.second(1) : actions.step(1)),
  Home: () => actions.oldest(),
  End: () => actions.newest(),
  "-": () => actions.speed(-1),
  "+": () => actions.speed(1),
  "=": () => actions.speed(1),
  i: () => actions.words(),
  "?": () => page.help.showModal(),
};
// What a control does with a key by itself stays its own.
const OWN = { BUTTON: [" "], SELECT: [" ", "ArrowLeft", "ArrowRight", "Home", "End", "-", "+", "=", "i"] };

function pressed(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.altKey || event.metaKey || page.help.open) return;
  if (plays(event, key, true) || !KEYS[key]) return;
  if (OWN[event.target.tagName]?.includes(key) || (key !== "?" && !frames?.count)) return;
  event.preventDefault();
  KEYS[key](event);
}

// Where the page plays, the game's keys come first.
function plays(event, key, down) {
  if (!hands || event.target.tagName === "SELECT") return false;
  if (down && key === "Enter" && event.target.tagName !== "BUTTON") tell({ again: true });
  else if (!hands.key(key, down)) return false;
  event.preventDefault();
  return true;
}

function released(event) {
  plays(event, event.key.length === 1 ? event.key.toLowerCase() : event.key, false);
}

function whenThere(action) {
  return () => {
    if (frames?.count) action();
  };
}

document.addEventListener("keydown", pressed);
document.addEventListener("keyup", released);
window.addEventListener("blur", () => hands?.release());
page.play.addEventListener("click", whenThere(actions.toggle));
page.back.addEventListener("click", whenThere(() => actions.step(-1)));
page.forward.addEventListener("click", whenThere(() => actions.step(1)));
page.newest.addEventListener("click", whenThere(actions.newest));
page.speed.addEventListener("change", whenThere(changedSpeed));
page.scrub.addEventListener("input", whenThere(() => seek(Number(page.scrub.value))));
page["help-open"].addEventListener("click", () => page.help.showModal());
dark.addEventListener("change", () => {
  colours = palette();
  refresh();
});
new ResizeObserver(resized).observe(page.screen);
window.addEventListener("resize", resized);
// The rate falls to nothing when frames stop coming, which no frame would tell.
setInterval(refresh, 1000);
connect();
