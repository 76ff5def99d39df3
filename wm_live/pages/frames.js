// The frames that a page knows: in the order they came, the oldest forgotten where the server forgets them too.

export class Frames {
  // hello: the server's greeting. Frames are addressed by their place in the order of arrival, from 0.
  constructor(hello) {
    this.hello = hello;
    this.index = Object.fromEntries(hello.fields.map((field, i) => [field.name, i]));
    this.control = Object.fromEntries(hello.controls.map((name, i) => [name, i]));
    this.keep = hello.history;
    this.kept = [];
    this.count = 0;
    this.late = 0;
    this.missed = 0;
    this.compared = 0;
    this.right = 0;
    this.hasTruth = false;
    this.hasCost = false;
  }

  get first() {
    return this.keep === null ? 0 : Math.max(0, this.count - this.keep);
  }

  get last() {
    return this.count - 1;
  }

  at(place) {
    return this.kept[this.keep === null ? place : place % this.keep];
  }

  add(message) {
    const before = this.count ? this.at(this.last) : null;
    if (before) this.missed += Math.max(0, message.n - before.n - 1);
    message.drift = message.real ? this.drift(message) : null;
    this.late += message.late ? 1 : 0;
    if (message.real) this.compare(message);
    this.hasTruth ||= message.drift !== null;
    this.hasCost ||= message.cu !== null;
    this.kept[this.keep === null ? this.count : this.count % this.keep] = message;
    this.count += 1;
  }

  // One field of one player, in its unit.
  value(message, player, name, kind = "frame") {
    const i = this.index[name];
    return message[kind][player][i] / this.hello.fields[i].scale;
  }

  action(message, player, kind = "frame") {
    const id = this.value(message, player, "action", kind);
    return this.hello.actions[id] ?? `action ${id}`;
  }

  // Share of actions, of both players, that were the replay's up to this frame.
  compare(message) {
    for (const player of [0, 1]) {
      this.right += this.value(message, player, "action") === this.value(message, player, "action", "real") ? 1 : 0;
    }
    this.compared += 2;
    message.right = this.right / this.compared;
  }

  // Mean distance from the replay over x and y of both players, in game units.
  drift(message) {
    let sum = 0;
    for (const player of [0, 1]) {
      for (const name of ["x", "y"]) {
        sum += Math.abs(this.value(message, player, name) - this.value(message, player, name, "real"));
      }
    }
    return sum / 4;
  }

  // Place of the first frame whose number is at least n; null if there is none yet.
  place(n) {
    let low = this.first;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.at(middle).n < n) low = middle + 1;
      else high = middle;
    }
    return low < this.count ? low : null;
  }

  // One frame in a sentence.
  words(message) {
    const players = [0, 1].map((player) => {
      const stocks = this.value(message, player, "stocks");
      const percent = Math.floor(this.value(message, player, "percent"));
      const name = `Player ${player + 1}, ${this.hello.characters[player]}`;
      return `${name}: ${this.action(message, player)}, ${percent} %, ${stocks} ${stocks === 1 ? "stock" : "stocks"}.`;
    });
    const drift = message.drift === null ? "" : ` Drift ${message.drift.toFixed(2)} game units.`;
    return `Frame ${message.n}. ${players.join(" ")}${drift}`;
  }
}
