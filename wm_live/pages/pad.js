// A controller as SVG: sticks move, what is pressed is filled.

const SVG = "http://www.w3.org/2000/svg";
const AXIS = 80;

function make(parent, tag, attributes) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  parent.append(node);
  return node;
}

export class Pad {
  constructor(parent, label) {
    this.svg = make(parent, "svg", { viewBox: "0 0 160 82", role: "img", "aria-label": label });
    this.sticks = [this.stick("stick", 32, 46, 20, 10), this.stick("cstick", 84, 62, 13, 7)];
    make(this.svg, "rect", { class: "gate", x: 52, y: 6, width: 56, height: 6, rx: 3 });
    this.shoulder = make(this.svg, "rect", { class: "on", x: 52, y: 6, width: 0, height: 6, rx: 3 });
    this.buttons = [
      this.pill("L", 6, 3, 34), this.pill("R", 120, 3, 34), this.pill("Z", 136, 17, 18),
      this.round("A", 122, 46, 11), this.round("B", 102, 54, 7), this.round("X", 142, 42, 7), this.round("Y", 116, 27, 7),
      this.arrow("D_UP", 60, 62),
    ];
    this.shown = new Map();
  }

  stick(name, x, y, radius, knob) {
    make(this.svg, "circle", { class: "gate", cx: x, cy: y, r: radius });
    return { name, x, y, reach: radius - knob / 2, knob: make(this.svg, "circle", { class: "knob", cx: x, cy: y, r: knob }) };
  }

  named(name, node, x, y) {
    make(this.svg, "text", { x, y, "aria-hidden": "true" }).textContent = name;
    return { name, node };
  }

  pill(name, x, y, width) {
    const node = make(this.svg, "rect", { class: "button", x, y, width, height: 11, rx: 5.5 });
    return this.named(name, node, x + width / 2, y + 8.5);
  }

  round(name, x, y, r) {
    return this.named(name, make(this.svg, "circle", { class: "button", cx: x, cy: y, r }), x, y + 3);
  }

  arrow(name, x, y) {
    return { name, node: make(this.svg, "path", { class: "button", d: `M${x - 6} ${y + 5}L${x} ${y - 6}L${x + 6} ${y + 5}z` }) };
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
    if (read) this.move(read);
  }

  move(read) {
    for (const { name, x, y, reach, knob } of this.sticks) {
      this.set(knob, "cx", (x + (read(`${name}_x`) / AXIS) * reach).toFixed(1));
      this.set(knob, "cy", (y - (read(`${name}_y`) / AXIS) * reach).toFixed(1));
    }
    this.set(this.shoulder, "width", ((read("shoulder") / AXIS) * 56).toFixed(1));
    for (const { name, node } of this.buttons) this.set(node, "class", read(name) ? "button on" : "button");
  }
}
