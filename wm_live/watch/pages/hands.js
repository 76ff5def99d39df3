// What the page's own player presses: keys, or a gamepad in the standard layout, as the numbers of a controller.

// An axis of a gamepad that is nearer to its middle than this is in its middle.
const REST = 0.12;

export class Hands {
  // hello: the server's greeting, with the game's pad; send: takes the inputs whenever they change.
  constructor(hello, send) {
    this.pad = hello.pad;
    this.controls = hello.controls;
    this.send = send;
    this.held = new Set();
    this.sent = "";
    this.polling = true;
    this.poll();
  }

  // Whether a key is the game's; `down` says which way it went.
  key(name, down) {
    if (!(name in this.pad.keys)) return false;
    this.held[down ? "add" : "delete"](name);
    this.tell();
    return true;
  }

  release() {
    this.held.clear();
    this.tell();
  }

  // A gamepad says nothing by itself.
  poll() {
    if (!this.polling) return;
    this.tell();
    requestAnimationFrame(() => this.poll());
  }

  stop() {
    this.polling = false;
  }

  tell() {
    const values = this.values();
    const inputs = this.controls.map(({ name, low, high }) => Math.min(Math.max(Math.round(values[name] ?? 0), low), high));
    const text = JSON.stringify(inputs);
    if (text === this.sent) return;
    this.sent = text;
    this.send({ inputs });
  }

  values() {
    const values = {};
    const add = ([name, value], share) => {
      if (name && share) values[name] = (values[name] ?? 0) + value * share;
    };
    for (const name of this.held) add(this.pad.keys[name], 1);
    for (const gamepad of navigator.getGamepads()) {
      if (gamepad?.mapping !== "standard") continue;
      this.pad.gamepad_axes.forEach((axis, i) => add(axis, Math.abs(gamepad.axes[i]) < REST ? 0 : gamepad.axes[i]));
      this.pad.gamepad_buttons.forEach((button, i) => add(button, gamepad.buttons[i]?.pressed ? 1 : 0));
    }
    return values;
  }
}
