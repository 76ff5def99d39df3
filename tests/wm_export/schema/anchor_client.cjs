// Reads {idl, instructions, accounts} from standard input; answers with what Anchor's own client makes of them.
const anchor = require("@coral-xyz/anchor");
const { BN, web3 } = anchor;

/** A value of an IDL type from JSON: numbers as text, bytes as lists. */
function made(type, value) {
  if (type === "u64" || type === "i64") return new BN(value);
  if (type === "pubkey") return new web3.PublicKey(Uint8Array.from(value));
  if (type === "bytes") return Buffer.from(value);
  if (typeof type === "string") return Number(value);
  const item = type.vec ?? type.array[0];
  return value.map((one) => made(item, one));
}

/** A decoded value as JSON. */
function shown(value) {
  if (BN.isBN(value)) return value.toString();
  if (value instanceof web3.PublicKey) return value.toBuffer().toString("hex");
  if (Array.isArray(value) && value.length === 32 && value.every((one) => typeof one === "number"))
    return Buffer.from(value).toString("hex");
  if (Array.isArray(value)) return value.map(shown);
  if (value !== null && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, shown(one)]));
  return value;
}

const { idl, instructions, accounts } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const coder = new anchor.BorshCoder(idl);
const program = new anchor.Program(idl, { connection: {}, publicKey: web3.PublicKey.default });
const encoded = idl.instructions.map(({ name, args }) => {
  const given = Object.fromEntries(args.map((arg) => [arg.name, made(arg.type, instructions[name][arg.name])]));
  return [name, coder.instruction.encode(name, given).toString("hex")];
});
const decoded = Object.entries(accounts).map(([name, hex]) => [
  name,
  shown(coder.accounts.decode(name, Buffer.from(hex, "hex"))),
]);
console.log(
  JSON.stringify({
    methods: Object.keys(program.methods).length,
    instructions: Object.fromEntries(encoded),
    accounts: Object.fromEntries(decoded),
  }),
);
