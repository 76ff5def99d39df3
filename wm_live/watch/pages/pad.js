// A controller as SVG: sticks move, what is pressed is filled.

const SVG = "http://www.w3.org/2000/svg";

function make(parent, tag, attributes) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  parent.append(node);
  return node;
}

export class Pad {
  // hello: the server's greeting, which says where each control is drawn.
  constructor(parent, label, hello) {
    this.svg = make(parent, "svg", { viewBox: "0 0 160 82", role: "img", "aria-label": label });
    this.range = Object.fromEntries(hello.controls.map(({ name, low, high }) => [name, { low, high }]));
    this.parts = hello.controller.map((part) => this[part.kind](part));
    this.shown = new Map();
  }

  // Each part is drawn once, and gives what moves it: a function of the one that reads a control.
  stick({ controls: [across, up], x, y, size: [radius, size] }) {
    make(this.svg, "circle", { class: "gate", cx: x, cy: y, r: radius });
    const knob = make(this.svg, "circle", { class: "knob", cx: x, cy: y, r: size });
    const reach = radius - size / 2;
    const share = (read, name) => read(name) / this.range[name].high;
    return (read) => {
      this.set(knob, "cx", (x + share(read, across) * reach).toFixed(1));
      this.set(knob, "cy", (y - share(read, up) * reach).toFixed(1));
    };
  }

  bar({ controls: [name], x, y, size: [width] }) {
    make(this.svg, "rect", { class: "gate", x, y, width, height: 6, rx: 3 });
    const filled = make(this.svg, "rect", { class: "on", x, y, width: 0, height: 6, rx: 3 });
    const { low, high } = this.range[name];
    return (read) => this.set(filled, "width", (((read(name) - low) / (high - low)) * width).toFixed(1));
  }

  pill({ controls: [name], x, y, size: [width] }) {
    const node = make(this.svg, "rect", { class: "button", x, y, width, height: 11, rx: 5.5 });
    return this.pressed(name, node, x + width / 2, y + 8.5);
  }

  round({ controls: [name], x, y, size: [r] }) {
    return this.pressed(name, make(this.svg, "circle", { class: "button", cx: x, cy: y, r }), x, y + 3);
  }

  arrow({ controls: [name], x, y }) {
    const node = make(this.svg, "path", { class: "button", d: `M${x - 6} ${y + 5}L${x} ${y - 6}L${x + 6} ${y + 5}z` });
    return (read) => this.set(node, "class", read(name) ? "button on" : "button");
  }

  pressed(name, node, x, y) {
    make(this.svg, "text", { x, y, "aria-hidden": "true" }).textContent = name;
    return (read) => this.set(node, "class", read(name) ? "button on" : "button");
  }

  // Touches the page only where something has changed.
  set(node, attribute, value) {
    const key = this.shown.get(node) ?? {};
    if (key[attribute] === value) return;
    key[attribute] = value;
    this.shown.set(node, key);
    node.setAttribute(attribute, value);
  }

  // read gives a control's value; it is null where the inputs of a frame are not known.
  draw(read) {
    this.set(this.svg, "class", read ? "" : "unknown");
    if (read) this.parts.forEach((move) => move(read));
  }
}
