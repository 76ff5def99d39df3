// Reads {idl, game, program, session, pressed, signer, address} from standard input; answers with what the client makes
// of them. The path of client.js is the first argument.
const { World } = require(process.argv[2]);
const { PublicKey } = require(require.resolve("@solana/web3.js", { paths: [process.argv[2]] }));

const asked = JSON.parse(require("fs").readFileSync(0, "utf8"));
const world = new World(asked.idl, asked.game, new PublicKey(asked.program));
const inputs = asked.pressed.map((one) => world.input(one));
const [address, signer] = [new PublicKey(asked.address), new PublicKey(asked.signer)];
const sent = world.submitInput(address, signer, 1, 2 ** 40 + 1, inputs[0]);
console.log(
  JSON.stringify({
    session: world.session(Buffer.from(asked.session, "hex")),
    inputs: inputs.map((one) => Buffer.from(one).toString("hex")),
    data: sent.data.toString("hex"),
    program: sent.programId.toBase58(),
    accounts: sent.keys.map((key) => [key.pubkey.toBase58(), key.isSigner, key.isWritable]),
  }),
);
