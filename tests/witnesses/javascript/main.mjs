// Answer a conformance kit: node main.mjs KIT RESULTS
//
// Written from the kit's README.md and SPECIFICATION.md alone, whose sections the modules cite. It
// needs Node and nothing else. Copy the folder and put your functions in place of these.

import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Refusal, Tensor } from "./arrays.mjs";
import { correlate, substitute } from "./convolving.mjs";
import { decode } from "./decoding.mjs";
import { bnorm, normalize, pool, relu } from "./layers.mjs";
import { forward } from "./network.mjs";
import { readNpz, writeNpz } from "./npz.mjs";
import { occlude } from "./occluding.mjs";
import { evaluate, receptiveField, respond } from "./predicting.mjs";
import { project } from "./projecting.mjs";
import { unpool } from "./unpooling.mjs";

const OPERATIONS = {
  correlate, pool, relu, normalize, bnorm, forward,
  substitute, decode, project, unpool,
  receptive_field: receptiveField, respond, evaluate, occlude,
};

const WHOLE = ["size", "stride", "offset", "origin", "map", "label", "refused"];

function main([kit, results, ...rest]) {
  if (!results || rest.length) throw new Error("usage: node main.mjs KIT RESULTS");
  mkdirSync(results, { recursive: true });
  const manifest = JSON.parse(readFileSync(join(kit, "manifest.json"), "utf8"));
  for (const { id, operation, ...about } of manifest.cases) {
    if (!(operation in OPERATIONS)) {
      console.error(`${id}: not attempted: ${operation} is not known`);
      continue;
    }
    const found = answer(kit, id, operation, about);
    if (found) writeNpz(join(results, `${id}.npz`), found);
  }
}

/** The outputs of a case by name; nothing where it is not attempted. */
function answer(kit, id, operation, { parameters, outputs, refused }) {
  const inputs = readNpz(join(kit, "cases", `${id}.npz`));
  const given = givenTo(kit, inputs, parameters);
  if (!given) {
    console.error(`${id}: not attempted: the network is in a file that cannot be read here`);
    return null;
  }
  let found;
  try {
    found = OPERATIONS[operation](given);
  } catch (error) {
    if (!(error instanceof Refusal)) throw new Error(`${id}: a bug`, { cause: error });
    if (refused) return { refused: { shape: [], data: [1], type: "<i4" } };
    console.error(`${id}: refused: ${error.message}`);
    return null;
  }
  if (refused) return { refused: { shape: [], data: [0], type: "<i4" } };
  if (found instanceof Tensor) found = { [outputs[0].name]: found };
  const type = Object.values(inputs).some((input) => input.type === "<f8") ? "<f8" : "<f4";
  return Object.fromEntries(Object.entries(found).map(([name, value]) => [name, {
    ...shaped(value), type: WHOLE.includes(name) ? "<i4" : type,
  }]));
}

function shaped(value) {
  if (typeof value === "number") return { shape: [], data: [value] };
  if (Array.isArray(value)) return { shape: [value.length], data: value };
  return value;
}

/** An operation's inputs and parameters by name; a network's layers have their arrays. */
function givenTo(kit, inputs, parameters) {
  const arrays = tensorsOf(inputs);
  let { network } = parameters;
  if (network === undefined) return { ...arrays, ...parameters };
  if (network.file) { // LeNet lies there as a case does
    const path = join(kit, `${network.file}.npz`);
    if (!existsSync(path)) return null;
    const file = readNpz(path);
    Object.assign(arrays, tensorsOf(file));
    ({ network } = JSON.parse(file.parameters.text));
  }
  const layers = network.map((layer) => withArrays(layer, arrays));
  return { ...arrays, ...parameters, network: layers };
}

function tensorsOf(inputs) {
  const numbers = Object.entries(inputs).filter(([, { tensor }]) => tensor);
  return Object.fromEntries(numbers.map(([name, { tensor }]) => [name, tensor]));
}

const HOLDS_ARRAYS = ["filters", "bias", "gain", "moments", "factor", "offset"];

function withArrays(layer, arrays) {
  return Object.fromEntries(Object.entries(layer).map(([key, value]) => (
    [key, HOLDS_ARRAYS.includes(key) && value !== null ? arrays[value] : value]
  )));
}

main(process.argv.slice(2));
