// node read_component.cjs FOLDER IDL BYTES: an account of a component, by its IDL as Anchor's own library reads it.
const { readFileSync } = require("node:fs");
const [folder, idl, bytes] = process.argv.slice(2);
const { BN, Program } = require(`${folder}/node_modules/@coral-xyz/anchor`);
const program = new Program(JSON.parse(readFileSync(idl, "utf8")), { connection: null });
const [name] = Object.keys(program.account);
const found = program.coder.accounts.decode(name, Buffer.from(bytes, "hex"));
BN.prototype.toJSON = function () { return Number(this.toString()); };
console.log(JSON.stringify({ methods: Object.keys(program.methods), account: found }));
