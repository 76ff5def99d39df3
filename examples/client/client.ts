// A player of a wmq session, from an app: reads the session's Frames, and sends inputs of one seat.
//
//     node build/client.js --idl idl-anchor-0.30.json --game game.json --program PROGRAM --session SESSION \
//         --rpc http://127.0.0.1:7799 --key key.json --player 1 --frames 600
//
// The program comes with its interface (the IDL of an export); game.json says what the numbers of a Frame are:
// `python -m examples.client.game` writes it. The key is the wallet of the seat, or its session key. Each frame whose
// input was sent is printed as a line of JSON.

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { BN, BorshCoder, type Idl } from "@coral-xyz/anchor";
import { Connection, Keypair, PublicKey, Transaction, TransactionInstruction } from "@solana/web3.js";

/** What game.json says: a value is a Frame's integer divided by `scale`, in `unit`; axes come before buttons. */
export interface Game {
  fps: number;
  fields: { name: string; unit: string; scale: number; low: number; high: number }[];
  controls: { name: string; low: number; high: number }[];
  axes: number;
}

/** Fields of a player by name, in their units. */
export type Player = Record<string, number>;

/** A session as it stands: `frameNumber` is the frame that is computed next, `players` are of the one before it. */
export interface Session {
  frameNumber: number;
  status: string;
  players: Player[];
}

/** The bytes of a deployed world: its accounts read, its instructions written. Nothing is sent here. */
export class World {
  private readonly coder: BorshCoder;

  constructor(
    idl: Idl,
    private readonly game: Game,
    private readonly program: PublicKey,
  ) {
    this.coder = new BorshCoder(idl);
  }

  /** The session in an account's data. */
  session(data: Buffer): Session {
    const { frame_number, status, frame } = this.coder.accounts.decode("Session", data);
    const fields = this.game.fields;
    const player = (seat: number): Player =>
      Object.fromEntries(fields.map(({ name, scale }, i) => [name, frame[seat * fields.length + i] / scale]));
    return {
      frameNumber: frame_number.toNumber(),
      status: Object.keys(status)[0]!.toLowerCase(),
      players: [player(0), player(1)],
    };
  }

  /** An input as an instruction carries it: a byte for each axis, then one with a bit for each button. */
  input(pressed: Record<string, number>): number[] {
    const { controls, axes } = this.game;
    const values = controls.map(({ name, low, high }) => Math.min(Math.max(pressed[name] ?? 0, low), high));
    const buttons = values.slice(axes).reduce((bits, value, i) => bits | (value ? 1 << i : 0), 0);
    return [...values.slice(0, axes).map((value) => value & 0xff), buttons];
  }

  /** Keeps a player's input for a frame; whoever steps the session waits for it. */
  submitInput(session: PublicKey, signer: PublicKey, player: number, frame: number, input: number[]) {
    return new TransactionInstruction({
      programId: this.program,
      keys: [
        { pubkey: signer, isSigner: true, isWritable: false },
        { pubkey: session, isSigner: false, isWritable: true },
      ],
      data: this.coder.instruction.encode("submit_input", { player, frame: new BN(frame), input }),
    });
  }
}

/** Frames that inputs are sent early, and milliseconds without a new frame after which they are sent again. */
const EARLY = 4;
const STALLED_MS = 1000;

/** One seat of a session that somebody else steps. */
export class Seat {
  constructor(
    private readonly rollup: Connection,
    private readonly world: World,
    private readonly address: PublicKey,
    private readonly key: Keypair,
    private readonly player: number,
  ) {}

  async read(): Promise<Session> {
    const account = await this.rollup.getAccountInfo(this.address);
    if (account === null) throw new Error(`${this.address}: no session there; is it delegated to this rollup?`);
    return this.world.session(account.data);
  }

  async send(frame: number, input: number[]): Promise<void> {
    const { blockhash } = await this.rollup.getLatestBlockhash();
    const transaction = new Transaction({ feePayer: this.key.publicKey, recentBlockhash: blockhash });
    transaction.add(this.world.submitInput(this.address, this.key.publicKey, this.player, frame, input));
    transaction.sign(this.key);
    await this.rollup.sendRawTransaction(transaction.serialize(), { skipPreflight: true });
  }

  /** Plays `frames` frames from the next one on; `choose` makes an input of what is seen. */
  async play(frames: number, choose: (seen: Session) => number[], sent: (frame: number, input: number[]) => void) {
    let seen = await this.read();
    const end = seen.frameNumber + frames;
    const chosen = new Map<number, number[]>();
    let next = seen.frameNumber;
    let moved = Date.now();
    while (seen.frameNumber < end && seen.status === "started") {
      for (; next < Math.min(seen.frameNumber + EARLY, end); next++) {
        const input = chosen.get(next) ?? choose(seen);
        if (!chosen.has(next)) sent(next, input);
        chosen.set(next, input);
        await this.send(next, input);
      }
      await new Promise((resolve) => setTimeout(resolve, 4));
      const before = seen.frameNumber;
      seen = await this.read();
      if (seen.frameNumber > before) moved = Date.now();
      next = Math.max(next, seen.frameNumber);
      if (Date.now() - moved > STALLED_MS) {
        next = seen.frameNumber; // an input of these was lost: the same again
        moved = Date.now();
      }
    }
  }
}

const json = (path: string) => JSON.parse(readFileSync(path, "utf8"));

async function main(): Promise<void> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    options: { idl: text, game: text, program: text, session: text, rpc: text, key: text, player: text, frames: text },
  });
  const given = (name: keyof typeof values): string => {
    const value = values[name];
    if (value === undefined) throw new Error(`--${name} is missing`);
    return value;
  };
  const player = Number(values.player ?? 1);
  const world = new World(json(given("idl")), json(given("game")), new PublicKey(given("program")));
  const rollup = new Connection(values.rpc ?? "http://127.0.0.1:7799", "processed");
  const key = Keypair.fromSecretKey(Uint8Array.from(json(given("key"))));
  const seat = new Seat(rollup, world, new PublicKey(given("session")), key, player);
  // Walks toward the other player.
  const towards = ({ players: [one, two] }: Session) => {
    const away = ((player ? one : two)?.x ?? 0) - ((player ? two : one)?.x ?? 0);
    return world.input({ stick_x: away < 0 ? -80 : 80 });
  };
  await seat.play(Number(values.frames ?? 600), towards, (frame, input) => console.log(JSON.stringify({ frame, input })));
}

if (require.main === module) {
  main().catch((error: Error) => {
    console.error(`client: ${error.message}`);
    process.exit(1);
  });
}
