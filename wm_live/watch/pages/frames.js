// The frames that a page knows: in the order they came, the oldest forgotten where the server forgets them too.

const within = (value, low, high) => Math.min(Math.max(value, low), high);

export class Frames {
  // hello: the server's greeting. Frames are addressed by their place in the order of arrival, from 0.
  constructor(hello) {
    this.hello = hello;
    this.index = Object.fromEntries(hello.fields.map((field, i) => [field.name, i]));
    this.control = Object.fromEntries(hello.controls.map(({ name }, i) => [name, i]));
    this.unit = this.field(hello.roles.position[0]).unit;
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

  // What the greeting says of a field.
  field(name) {
    return this.hello.fields[this.index[name]];
  }

  // One field of one player, in its unit. What a chain says may be any number; what is shown is one of the game's.
  value(message, player, name, kind = "frame") {
    const { scale, low, high } = this.field(name);
    return within(message[kind][player][this.index[name]] / scale, low, high);
  }

  // One control of one player, as an integer of the game's.
  input(message, player, name) {
    const at = this.control[name];
    const { low, high } = this.hello.controls[at];
    return within(message.inputs[player][at], low, high);
  }

  // The field that has a role; null in a game that has none.
  role(message, player, role, kind = "frame") {
    const name = this.hello.roles[role];
    return name ? this.value(message, player, name, kind) : null;
  }

  // Where a player is.
  position(message, player, kind = "frame") {
    const [x, y] = this.hello.roles.position.map((name) => this.value(message, player, name, kind));
    return { x, y };
  }

  // What a player does, in words; empty in a game without actions.
  action(message, player, kind = "frame") {
    const id = this.role(message, player, "action", kind);
    return id === null ? "" : this.hello.actions[id] ?? `${this.hello.roles.action} ${id}`;
  }

  // Damage as a whole number; null in a game without it.
  damage(message, player) {
    const value = this.role(message, player, "damage");
    return value === null ? null : Math.floor(value);
  }

  // So many lives, in words.
  lives(count) {
    return `${count} ${this.hello.life[count === 1 ? 0 : 1]}`;
  }

  called(player) {
    const name = this.hello.cast[player];
    return `Player ${player + 1}${name && `, ${name}`}`;
  }

  // Share of actions, of both players, that were the replay's up to this frame.
  compare(message) {
    if (!this.hello.roles.action) return;
    for (const player of [0, 1]) {
      this.right += this.role(message, player, "action") === this.role(message, player, "action", "real") ? 1 : 0;
    }
    this.compared += 2;
    message.right = this.right / this.compared;
  }

  // Mean distance from the replay over both coordinates of both players, in their unit.
  drift(message) {
    let sum = 0;
    for (const player of [0, 1]) {
      for (const name of this.hello.roles.position) {
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
      const [damage, lives] = [this.damage(message, player), this.role(message, player, "lives")];
      const said = [
        this.action(message, player),
        damage === null ? "" : `${damage} ${this.field(this.hello.roles.damage).unit}`,
        lives === null ? "" : this.lives(lives),
      ];
      return `${this.called(player)}: ${said.filter(Boolean).join(", ")}.`;
    });
    const drift = message.drift === null ? "" : ` Drift ${message.drift.toFixed(2)} ${this.unit}.`;
    return `Frame ${message.n}. ${players.join(" ")}${drift}`;
  }
}
