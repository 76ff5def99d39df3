// Pictures on canvas: the place with its players, and the charts. They only draw what they are given; how a game looks
// is said by the server's greeting.

const TRAIL = 40;
// Room that the name of a player takes, and an arrow at the edge, in CSS pixels.
const LABEL = { width: 22, height: 14 };
const ARROW = 26;
// How slowly the view follows the players.
const EASE_MS = 350;
const between = (value, low, high) => Math.min(Math.max(value, low), high);
const within = (id, range) => range !== null && id !== null && id >= range[0] && id <= range[1];

// Colours of the theme, read again when it changes.
export function palette() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  return {
    players: [colour("--s0"), colour("--s1")],
    ink: colour("--ink"),
    soft: colour("--soft"),
    rule: colour("--rule"),
    paper: colour("--paper"),
    panel: colour("--panel"),
  };
}

const sizes = new WeakMap();

// Gives a canvas as many pixels as the screen has there. Only here is the layout asked; drawing a frame never does.
export function fit(canvas) {
  const size = { width: canvas.clientWidth, height: canvas.clientHeight, ratio: window.devicePixelRatio || 1 };
  const [width, height] = [Math.round(size.width * size.ratio), Math.round(size.height * size.ratio)];
  sizes.set(canvas, size);
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}

// An empty canvas to draw on in CSS pixels.
function blank(canvas) {
  if (!sizes.has(canvas)) fit(canvas);
  const { width, height, ratio } = sizes.get(canvas);
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

// ------------------------------------------------------------------------------------------------------------- place

export class Picture {
  // hello: the server's greeting.
  constructor(canvas, hello) {
    this.canvas = canvas;
    this.place = hello.place;
    this.lengths = hello.lengths;
    this.looks = hello.looks;
    this.view = null;
    this.settled = true;
  }

  // Left, right, top and bottom of what should be seen: place and players, at most the box and a little room.
  wanted(points) {
    const [left, right, top, bottom] = this.place.box;
    const [west, east, north, south] = this.place.seen;
    const { room, edge } = this.lengths;
    const xs = [west, east, ...points.flatMap(({ x }) => [x - room, x + room].map((v) => between(v, left, right)))];
    const ys = [north, south, ...points.flatMap(({ y }) => [y - room, y + room].map((v) => between(v, bottom, top)))];
    return [Math.min(...xs) - edge, Math.max(...xs) + edge, Math.max(...ys) + edge, Math.min(...ys) - edge];
  }

  // Moves the view toward what should be seen, gently; at once where `share` is 1.
  look(points, share) {
    const wanted = this.wanted(points);
    this.view = this.view ? this.view.map((value, i) => value + (wanted[i] - value) * share) : wanted;
    this.settled = this.view.every((value, i) => Math.abs(value - wanted[i]) < 0.5);
  }

  // The plane of the game in CSS pixels.
  plane(width, height) {
    const [left, right, top, bottom] = this.view;
    const scale = Math.min(width / (right - left), height / (top - bottom));
    const [x0, y0] = [width / 2 - ((left + right) / 2) * scale, height / 2 + ((top + bottom) / 2) * scale];
    return { scale, width, height, body: this.lengths.body, x: (x) => x0 + x * scale, y: (y) => y0 - y * scale };
  }

  // elapsed: milliseconds since the last picture; Infinity where nothing should move by itself (then no trails either).
  draw(frames, place, colours, elapsed) {
    const message = frames.at(place);
    const now = [0, 1].map((player) => body(frames, this.looks, message, player, "frame"));
    const real = message.real ? [0, 1].map((player) => body(frames, this.looks, message, player, "real")) : [];
    this.look([...now, ...real], 1 - Math.exp(-elapsed / EASE_MS));
    const { context, width, height } = blank(this.canvas);
    this.context = context;
    this.labels = [];
    this.arrows = [];
    const plane = this.plane(width, height);
    this.outline(plane, colours);
    for (const player of [1, 0]) {
      if (elapsed < Infinity) this.trail(plane, frames, place, player, colours.players[player]);
      if (real.length) this.truth(plane, now[player], real[player], player, colours);
      this.player(plane, now[player], player, colours);
    }
  }

  outline(plane, colours) {
    const { context, place } = this;
    const [left, right, top, bottom] = place.box;
    context.lineWidth = 1;
    context.strokeStyle = colours.rule;
    context.setLineDash([2, 5]);
    context.strokeRect(plane.x(left), plane.y(top), (right - left) * plane.scale, (top - bottom) * plane.scale);
    context.setLineDash([]);
    if (place.floor.length) this.land(plane, colours);
    context.lineCap = "round";
    context.strokeStyle = colours.soft;
    context.lineWidth = 2.5;
    for (const platform of place.platforms) this.line(plane, platform);
    context.setLineDash([6, 6]);
    for (const platform of place.moving) this.line(plane, platform);
    context.setLineDash([]);
  }

  line(plane, [left, right, y]) {
    this.context.beginPath();
    this.context.moveTo(plane.x(left), plane.y(y));
    this.context.lineTo(plane.x(right), plane.y(y));
    this.context.stroke();
  }

  land(plane, colours) {
    const { context } = this;
    const points = this.place.floor.map(([x, y]) => [plane.x(x), plane.y(y)]);
    const depth = 2 * this.lengths.body * plane.scale;
    const [[x0, y0], [x1]] = [points[0], points[points.length - 1]];
    const fade = context.createLinearGradient(0, y0, 0, y0 + depth);
    fade.addColorStop(0, colours.rule);
    fade.addColorStop(1, `${colours.rule}00`); // the same colour: plain transparent is black, and greys the middle
    context.beginPath();
    points.forEach(([x, y]) => context.lineTo(x, y));
    context.lineTo(x1 - depth * 0.7, y0 + depth);
    context.lineTo(x0 + depth * 0.7, y0 + depth);
    context.fillStyle = fade;
    context.fill();
    context.beginPath();
    points.forEach(([x, y]) => context.lineTo(x, y));
    context.strokeStyle = colours.ink;
    context.lineWidth = 2.5;
    context.lineCap = "round";
    context.stroke();
  }

  // Where a player has been; a jump in space (a respawn) breaks the line.
  trail(plane, frames, place, player, colour) {
    const { context } = this;
    const { jump, lift } = this.lengths;
    context.strokeStyle = colour;
    context.lineWidth = 2;
    context.globalAlpha = 0.3;
    context.beginPath();
    let before = null;
    for (let i = Math.max(frames.first, place - TRAIL); i <= place; i++) {
      const message = frames.at(i);
      const point = frames.position(message, player);
      const broken = before === null || Math.hypot(point.x - before.x, point.y - before.y) > jump;
      context[broken ? "moveTo" : "lineTo"](plane.x(point.x), plane.y(point.y + lift));
      before = point;
    }
    context.stroke();
    context.globalAlpha = 1;
  }

  truth(plane, now, real, player, colours) {
    const { context } = this;
    const [a, b] = [middle(plane, now), middle(plane, real)];
    context.strokeStyle = colours.players[player];
    context.lineWidth = 1;
    context.globalAlpha = 0.7;
    context.beginPath();
    context.moveTo(...a);
    context.lineTo(...b);
    context.stroke();
    context.setLineDash([4, 3]);
    context.lineWidth = 1.5;
    shape(context, plane, real, player);
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  player(plane, now, player, colours) {
    const { context } = this;
    const colour = colours.players[player];
    const [x, y] = middle(plane, now);
    if (x < 0 || x > plane.width || y < 0 || y > plane.height) return this.beyond(plane, x, y, player, colours);
    context.globalAlpha = now.faint ? 0.3 : 1;
    if (now.bubble !== null) this.bubble(x, y, now.bubble * plane.scale, colour);
    shape(context, plane, now, player);
    context.fillStyle = colour;
    context.fill();
    context.lineWidth = now.bold ? 3 : 1.5;
    context.strokeStyle = now.bold ? colours.ink : colours.panel;
    context.setLineDash(now.dashed ? [3, 3] : []);
    context.stroke();
    context.setLineDash([]);
    if (now.side) this.notch(plane, now, colours.panel);
    this.label(`P${player + 1}`, plane, x, y - size(plane, now).height / 2 - 5, colour);
    context.globalAlpha = 1;
    return undefined;
  }

  bubble(x, y, radius, colour) {
    const { context } = this;
    context.beginPath();
    context.arc(x, y, Math.max(radius, 10), 0, 2 * Math.PI);
    context.fillStyle = colour;
    context.globalAlpha = 0.22;
    context.fill();
    context.globalAlpha = 1;
  }

  // A light triangle on the side a player faces.
  notch(plane, now, colour) {
    const { context } = this;
    const { width, height } = size(plane, now);
    const [x, y] = middle(plane, now);
    const [tip, high, half] = [x + now.side * width * 0.36, y - height * 0.16, Math.min(width, height) * 0.2];
    context.beginPath();
    context.moveTo(tip, high);
    context.lineTo(tip - now.side * half * 1.5, high - half);
    context.lineTo(tip - now.side * half * 1.5, high + half);
    context.closePath();
    context.fillStyle = colour;
    context.fill();
  }

  // Inside the picture, and not over another name.
  label(text, plane, x, y, colour) {
    const { context } = this;
    const { width, height } = LABEL;
    const at = { x: between(x, width / 2, plane.width - width / 2), y: between(y, height, plane.height - 4) };
    const other = this.labels.find((one) => Math.abs(one.x - at.x) < width && Math.abs(one.y - at.y) < height);
    if (other) at.y = other.y > 2 * height ? other.y - height : other.y + height;
    this.labels.push(at);
    context.font = "600 12px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "alphabetic";
    context.fillStyle = colour;
    context.fillText(text, at.x, at.y);
  }

  // Who is outside the picture: an arrow at its edge.
  beyond(plane, x, y, player, colours) {
    const { context } = this;
    const room = 16;
    const at = [between(x, room, plane.width - room), between(y, room, plane.height - room)];
    const other = this.arrows.find((one) => Math.hypot(one[0] - at[0], one[1] - at[1]) < ARROW);
    if (other) {
      // along the edge, to where there is more of it
      const [along, length] = at[1] === y ? [1, plane.height] : [0, plane.width];
      at[along] = other[along] + (other[along] < length / 2 ? ARROW : -ARROW);
    }
    this.arrows.push(at);
    const angle = Math.atan2(y - at[1], x - at[0]);
    context.save();
    context.translate(...at);
    context.rotate(angle);
    context.beginPath();
    context.moveTo(12, 0);
    context.lineTo(0, -7);
    context.lineTo(0, 7);
    context.closePath();
    context.fillStyle = colours.players[player];
    context.fill();
    context.restore();
    const [back, up] = [at[0] - 12 * Math.cos(angle), at[1] - 14 * Math.sin(angle) + 4];
    this.label(`P${player + 1}`, plane, back, up, colours.players[player]);
  }
}

// What the picture shows of one player.
function body(frames, looks, message, player, kind) {
  const value = (name) => frames.value(message, player, name, kind);
  const action = frames.role(message, player, "action", kind);
  const { bubble } = looks;
  return {
    ...frames.position(message, player, kind),
    side: looks.side ? (value(looks.side) ? 1 : -1) : 0,
    bold: looks.bold !== "" && value(looks.bold) > 0,
    dashed: looks.dashed !== "" && value(looks.dashed) > 0,
    bubble: bubble && within(action, bubble.actions) ? bubble.least + value(bubble.field) * bubble.each : null,
    faint: within(action, looks.faded),
    squash: looks.heights.find(([actions]) => within(action, actions))?.[1] ?? 1,
  };
}

// Players stand on their position. On a small screen they are drawn larger than life, to be seen at all.
function size(plane, now) {
  const height = Math.max(plane.body * plane.scale, 20);
  return { width: height * 0.62 * (now.squash < 0.6 ? 1.6 : 1), height: height * now.squash };
}

function middle(plane, now) {
  return [plane.x(now.x), plane.y(now.y) - size(plane, now).height / 2];
}

function shape(context, plane, now, player) {
  const { width, height } = size(plane, now);
  const [x, y] = middle(plane, now);
  const radius = Math.min(width, height) * (player ? 0.14 : 0.5);
  context.beginPath();
  context.roundRect(x - width / 2, y - height / 2, width, height, radius);
}

// ------------------------------------------------------------------------------------------------------------ charts

// A line over frames from..to, between 0 and the highest value, both of which are written beside it; `read` gives a
// frame's value or null. The head is where the page stands.
export function chart(canvas, frames, { from, to, head, read, colour, text }) {
  const { context, width, height } = blank(canvas);
  const columns = peaks(frames, from, to, Math.max(1, Math.floor(width)), read);
  const top = Math.max(...columns.filter((value) => value !== null), 1e-9);
  const x = (place) => ((place - from) / Math.max(1, to - from)) * (width - 2) + 1;
  const y = (value) => height - 2 - (value / top) * (height - 16);
  context.strokeStyle = text;
  context.globalAlpha = 0.3;
  context.lineWidth = 1;
  context.beginPath();
  for (const value of [0, top]) {
    context.moveTo(0, Math.round(y(value)) + 0.5);
    context.lineTo(width, Math.round(y(value)) + 0.5);
  }
  context.stroke();
  context.globalAlpha = 1;
  context.beginPath();
  let open = false;
  columns.forEach((value, i) => {
    if (value !== null) context[open ? "lineTo" : "moveTo"]((i / Math.max(1, columns.length - 1)) * (width - 2) + 1, y(value));
    open = value !== null;
  });
  context.strokeStyle = colour;
  context.lineWidth = 1.5;
  context.lineJoin = "round";
  context.stroke();
  context.strokeStyle = text;
  context.globalAlpha = 0.6;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(x(head), 0);
  context.lineTo(x(head), height);
  context.stroke();
  context.globalAlpha = 1;
  context.fillStyle = text;
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "top";
  const right = x(head) < width / 2;
  context.textAlign = right ? "right" : "left";
  context.fillText(top < 100 ? top.toPrecision(3) : Math.round(top).toLocaleString("en"), right ? width - 2 : 2, 0);
  context.textBaseline = "bottom";
  context.fillText("0", right ? width - 2 : 2, height - 3);
}

// The greatest value of each column of pixels (or each frame, where there are fewer).
function peaks(frames, from, to, width, read) {
  const total = to - from + 1;
  const columns = new Array(Math.min(total, width)).fill(null);
  for (let i = 0; i < total; i++) {
    const value = read(frames.at(from + i));
    const column = Math.floor((i * columns.length) / total);
    if (value !== null && (columns[column] === null || value > columns[column])) columns[column] = value;
  }
  return columns;
}
