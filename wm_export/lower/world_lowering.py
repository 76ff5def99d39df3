"""The world's part of a frame: `begin` makes codes of the inputs, `decode` the next Frame, `push` moves the window on.

Their calls go to the generated rules; only the arg max of each choice is a kernel's."""

from wm_export.lower.asm.gather_asm import GATHER_UNROLL
from wm_export.lower.builder import Builder
from wm_export.lower.lowered_program import Call, Lifetime, Routine, padded
from wm_export.lower.rule_operations import decode_operations, push_operations
from wm_train.grid.arithmetic import TILE_COLUMNS
from wm_train.world.fields import PLAYERS
from wm_train.world.subsystem import Head

#: Buffers that the rules name.
CODES, CONTROL_CODES, IDS, PLACE_BOUNDS = "codes", "controls", "ids", "bounds"
#: The buffer of the hashes of what ops write in turn (memory.py).
HASHES = "hashes"
#: Buffers and routines that are the world's; no op has their names.
BUFFERS = (CODES, CONTROL_CODES, IDS, PLACE_BOUNDS, HASHES)
ROUTINES = BEGIN, DECODE, PUSH = ("begin", "decode", "push")


def begin(builder: Builder) -> Routine:
    """The codes of the following inputs: behind the window if the network reads them, else by themselves."""
    encoding = builder.net.world.encoding
    builder.buffer(CODES, padded(encoding.dense_columns, TILE_COLUMNS), Lifetime.SESSION)
    codes = CODES if encoding.conditioned else CONTROL_CODES
    if not encoding.conditioned:
        # The network does not read them; they wait here until their slot is pushed.
        builder.buffer(CONTROL_CODES, PLAYERS * len(encoding.game.controls))
    builder.buffer(IDS, padded(len(list(encoding.id_fields())), GATHER_UNROLL), Lifetime.SESSION, "u16")
    call = Call("rules::encode_inputs", ("inputs", "work"), uses=(codes,))
    return Routine(BEGIN, "encode", "codes of both players' inputs", (call,))


def _choice(head: Head) -> tuple[Call, ...]:
    if head.groups:
        return Call("argmax", (head.groups,)), Call("argmax", (head.members,))
    return (Call("argmax_within" if head.within else "argmax", (head.width,)),)


def decode(builder: Builder) -> Routine:
    """The next Frame; reads the heads."""
    world = builder.net.world
    choices = tuple(call for head in world.heads if head.kind == "choice" for call in _choice(head)) * PLAYERS
    builder.buffer(PLACE_BOUNDS, world.place_size, Lifetime.SESSION)
    reads, operations = (*builder.net.read, PLACE_BOUNDS), decode_operations(world)
    call = Call("rules::decode", ("frame", "work"), inside=choices, uses=reads, operations=operations)
    return Routine(DECODE, "decode", "the next Frame, from the heads", (call,))


def push(builder: Builder) -> Routine:
    """The window with the new Frame as its last slot."""
    controls = (CONTROL_CODES,) if CONTROL_CODES in builder.buffers else ()
    facts = (PLACE_BOUNDS,) if builder.net.world.encoding.sights else ()
    uses, operations = (CODES, IDS, *controls, *facts), push_operations(builder.net.world)
    call = Call("rules::push", ("frame", "work"), uses=uses, operations=operations)
    return Routine(PUSH, "encode", "the window moves on by one slot", (call,))
