"""`rules.rs`: the world's rules, recorded as Rust: a function for one player's inputs, next fields and window slot."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from wm_export.recorder import Sym, SymOps
from wm_export.solana.rust_text import at, fill, upper
from wm_quant.qnet import QNet, vector_of
from wm_train.world.definition import Game
from wm_train.world.encoding import Encoding
from wm_train.world.fields import PLAYERS, Kind, ends
from wm_train.world.sight import seen
from wm_train.world.step import World, decode, encode, identify, pressed
from wm_train.world.subsystem import Head


@dataclass
class RustTarget:
    """Recorded operations as Rust: a value is an expression, or the variable that has been given its name."""

    lines: list[str] = field(default_factory=list)
    _tables: set[str] = field(default_factory=set)
    _outermost: dict[str, str] = field(default_factory=dict)  # an expression that is an operator's -> the operator

    def line(self, text: str) -> None:
        """A statement or a comment."""
        self.lines.append(text)

    def let(self, name: str, expression: str) -> str:
        """A new variable that holds `expression`."""
        self.line(f"let {name} = {expression};")
        return name

    def begin(self, subsystem: str) -> None:
        """See Target: a comment."""
        self.lines += ["", f"// {subsystem}"]

    def name(self, name: str, value: str) -> str:
        """See Target: a variable, unless the value is one already."""
        return value if value.isidentifier() else self.let(name, value)

    def binary(self, op: str, a: str | int, b: str | int) -> str:
        """See Target: a comparison is a mask, 0 or -1."""
        if op == ">":
            return f"gt({a}, {b})"
        # Rust's + and - are of one rank and go from left to right; all else gets parentheses.
        alike = op in "+-" and self._outermost.get(str(a), "") in ("+", "-")
        text = f"{a if alike else self.closed(a)} {op} {self.closed(b)}"
        self._outermost[text] = op
        return text

    def where(self, mask: str | int, a: str | int, b: str | int) -> str:
        """See Target."""
        return f"select({mask}, {a}, {b})"

    def clip(self, value: str | int, low: str | int, high: str | int) -> str:
        """See Target."""
        return f"clamp({value}, {low}, {high})"

    def pick(self, name: str, table: tuple[int, ...], index: str | int) -> str:
        """See Target: the table stands where it is read first."""
        if name not in self._tables:
            self._tables.add(name)
            self.line(f"static {upper(name)}: [u16; {len(table)}] = [{', '.join(map(str, table))}];")
        return f"i64::from({upper(name)}[{self.closed(index)} as usize])"

    def requantize(self, value: str | int, mult: int, shift: int) -> str:
        """See Target."""
        return f"requantize1({value}, {mult}, {shift})"

    def closed(self, value: str | int) -> str:
        """`value` as an operand of whatever operator."""
        return f"({value})" if value in self._outermost else str(value)


def _field_read(item: str) -> str:
    return f"field(player, fields::{upper(item)})"


def _raw_control(game: Game, i: int) -> str:
    """The number of one control in a packed input."""
    byte = f"input[{min(i, game.axes)}]"
    shifted = f"{byte} >> {i - game.axes}" if i > game.axes else byte
    return f"i64::from({byte} as i8)" if game.controls[i].kind is Kind.AXIS else f"i64::from({shifted} & 1)"


def _encode_player(encoding: Encoding) -> list[str]:
    """Codes of one player's controls, and of its presses if they are read, from its packed input."""
    target, game = RustTarget(), encoding.game
    ops, raw = SymOps(target), [Sym(target, _raw_control(game, i)) for i in range(len(game.controls))]
    if _presses(encoding):
        before = [Sym(target, f"code_at(newest, {i})") for i in game.button_places]
        raw += [pressed(ops, raw[i], was) for i, was in zip(game.button_places, before, strict=True)]
    for i, (control, value) in enumerate(zip(encoding.controls, raw, strict=True)):
        target.line(f"code(codes, {i}, {encode(ops, control, value).text}); // {control.name}")
    return target.lines


def _presses(encoding: Encoding) -> bool:
    """Whether presses are read: they follow from the inputs and the window's newest slot."""
    return len(encoding.controls) > len(encoding.game.controls)


def _decode_player(world: World) -> list[str]:
    """One player's next fields: the rules subsystem by subsystem, then what is written back."""
    target = RustTarget()
    numbers = [f"{name}_{end}" for name in world.game.bounded for end in ("low", "high")]
    numbers += [f"place_{fact}" for fact in world.head_set.facts]
    rest = [".."] * (len(numbers) < world.place_numbers)  # what only sights read
    target.line(f"let [{', '.join([*numbers, *rest])}] = *place;")

    def now(name: str) -> Sym:
        return Sym(target, target.let(f"now_{name}", _field_read(name)))

    unread = [Sym(target, "") for _ in range(world.place_numbers - len(numbers))]
    place = [*(Sym(target, number) for number in numbers), *unread]
    written = decode(SymOps(target), world, read_once(now), read_once(heads_read(target, world)), place)
    if world.head_set.laws:
        target.begin("what is written back")
    for name, value in written.items():
        target.line(f"write(player, fields::{upper(name)}, {value.text});")
    return target.lines


def heads_read(target: RustTarget, world: World) -> Callable[[str], Sym]:
    """Reads a head's value into a variable of its own; of a choice the chosen id."""

    def read(name: str) -> Sym:
        head, place = world.head(name), f"outputs::{upper(name)}"
        text = f"choice(heads, {place}, {head.rows})" if head.kind == "choice" else f"head(heads, {place})"
        if head.groups:
            chosen = target.let(f"group_{name}", text)
            text = f"{head.members} * {chosen} + choice({members_name(head)}, 0, {head.members})"
        if head.within:
            text = f"choice_within(heads, {place}, &{_labels_name(head)}, {read(head.within).text})"
        return Sym(target, target.let(f"head_{name}", text))

    return read


def members_name(head: Head) -> str:
    """The parameter that points at the logits of the ids of the group which a choice in groups chose."""
    return f"ids_of_{head.name}"


def _labels_name(head: Head) -> str:
    return upper(f"{head.within}_of_{head.name}")


def _labels(world: World) -> str:
    """The label of every id of each choice within another, and what reads them."""
    tables = [
        fill("labels.rs", {"head": head.name, "within": head.within, "name": _labels_name(head), "width": head.width,
                            "labels": ", ".join(map(str, head.labels))})
        for head in world.heads if head.within
    ]  # fmt: skip
    return "\n".join([*tables, fill("within.rs", {})]) if tables else ""


def read_once(read: Callable[[str], Sym]) -> Callable[[str], Sym]:
    """Each name is read one time, into one variable."""
    known: dict[str, Sym] = {}

    def cached(name: str) -> Sym:
        if name not in known:
            known[name] = read(name)
        return known[name]

    return cached


def _seen_of_player(target: RustTarget, world: World) -> dict[str, Sym]:
    """What one player sees of a Frame, each in a variable."""
    first = world.place_numbers - len(world.facts)

    def read(whose: str) -> Callable[[str], Sym]:
        def field_of(name: str) -> Sym:
            return Sym(target, target.let(f"{whose}_{name}", f"field({whose}, fields::{upper(name)})"))

        return read_once(field_of)

    def place(name: str) -> Sym:
        return Sym(target, target.let(f"place_{name}", f"place[{first + world.facts.index(name)}]"))

    values = seen(SymOps(target), world.encoding.sights, read("player"), read("other"), read_once(place))
    return {name: Sym(target, target.let(name, value.text)) for name, value in values.items()}


def _push_player(world: World) -> list[str]:
    """One player's part of a window slot: codes of its fields, those of its controls, ids."""
    target, encoding = RustTarget(), world.encoding
    ops, dense = SymOps(target), [item for item in encoding.state if item.is_dense]
    sights = _seen_of_player(target, world) if encoding.sights else {}
    for i, item in enumerate(dense):
        value = encode(ops, item, sights.get(item.name) or Sym(target, _field_read(item.name)))
        target.line(f"code(slot, {i}, {value.text});")
    target.line("// The controls' codes were made when the frame began.")
    target.line(f"core::ptr::copy_nonoverlapping(controls, slot.add({8 * len(dense)}), CONTROLS_BYTES);")
    for i, item in enumerate(encoding.ids):
        value = identify(ops, item, Sym(target, _field_read(item.name)))
        target.line(f"id(ids, {i}, {value.text});")
    return target.lines


def controls(net: QNet, player: int) -> str:
    """Where the codes of the following inputs lie: behind the window if the network reads them, else by themselves."""
    encoding = net.world.encoding
    name, start = ("codes", encoding.slots * encoding.slot_columns) if encoding.conditioned else ("controls", 0)
    return at("work", "work", name, "", 8 * (start + player * len(encoding.controls)))


def _newest_controls(encoding: Encoding) -> str:
    """Where the codes of player 0's controls lie in the window's newest slot."""
    return at("work", "work", "codes", "", 8 * ((encoding.slots - 1) * encoding.slot_columns + encoding.controls_at))


def _behind(pointer: str, player: int, size: str) -> str:
    """`pointer` moved to what is the player's own, where each player has `size` bytes."""
    return f"{pointer}.add({f'{player} * ' if player > 1 else ''}{size})" if player else pointer


def _calls(net: QNet) -> dict[str, str]:
    """The functions of one player, called for both."""
    seats = net.world.place_seats
    encode_calls, decode_calls, push_calls = [], [], []
    for p in range(PLAYERS):
        frame, slot, ids = (_behind(*part) for part in (("frame", p, "FIELDS_BYTES"), ("slot", p, "CODES_BYTES"),
                                                        ("ids", p, "IDS_BYTES")))  # fmt: skip
        newest = f", {_behind('newest', p, 'CODES_BYTES')}" if _presses(net.world.encoding) else ""
        encode_calls.append(f"encode_player(&inputs[{p}], {_behind('codes', p, 'INPUTS_BYTES')}{newest});")
        chosen = [f"work.add(work::{upper(vector_of(p, head))})" for head in net.world.grouped]
        own = [frame, _behind("heads", p, "HEADS_BYTES"), f"&places[{min(p, seats - 1)}]", *chosen]
        decode_calls.append(f"decode_player({', '.join(own)});")
        sights = f", {_behind('frame', 1 - p, 'FIELDS_BYTES')}, &places[{min(p, seats - 1)}]" if _sees(net) else ""
        push_calls.append(f"push_player({frame}, {controls(net, p)}, {slot}, {ids}{sights});")
    calls = {"encode_inputs": encode_calls, "decode": decode_calls, "push": push_calls}
    return {name: "\n".join(lines) for name, lines in calls.items()}


def _sees(net: QNet) -> bool:
    """Whether a slot holds what players see of each other and of the place."""
    return bool(net.world.encoding.sights)


def _in_range(game: Game) -> str:
    """(least, greatest) of every field of a Frame."""
    pairs = [ends(item) for _ in range(PLAYERS) for item in game.state]
    return ", ".join(f"({low}, {high})" for low, high in pairs)


def _places(names: dict[str, int]) -> str:
    """Constants of a module: name -> place."""
    return "\n".join(f"pub const {upper(name)}: usize = {place};" for name, place in names.items())


#: Pieces of `rules.rs`, each a template: systems of a BOLT world are made of them as well.
PIECES = ("fields", "outputs", "field", "head", "choice", "codes", "in_range", "push")


def rules(net: QNet) -> dict[str, object]:
    """What fills `rules.rs`."""
    holes = rule_holes(net)
    return holes | pieces(holes) | {"decode_player": "\n".join(_decode_player(net.world))}


def pieces(holes: Mapping[str, object]) -> dict[str, object]:
    """The text of each piece, as holes."""
    return {f"{piece}_part": fill(f"{piece}.rs", holes) for piece in PIECES}


def rule_holes(net: QNet) -> dict[str, object]:
    """What fills the pieces of `rules.rs` and what stands between them."""
    world, encoding = net.world, net.world.encoding
    slot_bytes, slot_id_bytes = 8 * encoding.slot_columns, 2 * encoding.slot_ids
    players = {
        "encode_player": _encode_player(encoding),
        "push_player": _push_player(world),
    }
    return {
        **{name: "\n".join(lines) for name, lines in players.items()},
        **_calls(net),
        "field_places": _places({item.name: place for place, item in enumerate(world.game.state)}),
        "output_places": _places({head.name: world.span(0, head.name).start for head in world.heads}),
        "controls": controls(net, 0),
        "fields": PLAYERS * len(world.game.state),
        "fields_bytes": 4 * len(world.game.state),
        "heads_bytes": 8 * world.player_outputs,
        "codes_bytes": slot_bytes // PLAYERS,
        "ids_bytes": slot_id_bytes // PLAYERS,
        "controls_bytes": 8 * len(encoding.slot_controls),
        "inputs_bytes": 8 * len(encoding.controls),
        "code_at": fill("code_at.rs", {}) if _presses(encoding) else "",
        "newest_parameter": ", newest: *const u8" if _presses(encoding) else "",
        "newest": f"\nlet newest = {_newest_controls(encoding)};" if _presses(encoding) else "",
        "seen_parameters": f", other: *const u8, place: &[i64; {world.place_numbers}]" if _sees(net) else "",
        "seen_places": f"\nlet places = &*(work.add(work::BOUNDS) as *const [[i64; {world.place_numbers}]; "
        f"{world.place_seats}]);"
        if _sees(net)
        else "",
        "place_numbers": world.place_numbers,
        "place_seats": world.place_seats,
        "ranges": _in_range(world.game),
        "labels": _labels(world),
        "members": "".join(f", {members_name(head)}: *const u8" for head in world.grouped),
        "about_members": ", each `ids_of` the logits of a group's ids" if world.grouped else "",
        "slot_bytes": slot_bytes,
        "kept_bytes": (encoding.slots - 1) * slot_bytes,
        "slot_id_bytes": slot_id_bytes,
        "kept_id_bytes": (encoding.slots - 1) * slot_id_bytes,
    }
