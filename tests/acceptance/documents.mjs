// Reads every Presentation document in a folder with @iiif/parser, 2.1 ones through its upgrader.
//
// Usage: documents.mjs FOLDER

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { normalize } from "@iiif/parser";
import { presentation3StrictUpgrade } from "@iiif/parser/strict";
import { upgrade } from "@iiif/parser/upgrader";

const folder = process.argv[2];
const count = { 2: 0, 3: 0 };
let faults = 0;

function check(name, version, document) {
  const three = version === 2 ? upgrade(structuredClone(document)) : document;
  const { entities, resource } = normalize(structuredClone(three));
  if (!resource?.id || entities[three.type]?.[resource.id] === undefined) {
    throw new Error(`${three.type} is not found again after reading`);
  }
  if (version === 3 && three.type === "Manifest") {
    const state = { warnings: [] };
    presentation3StrictUpgrade(structuredClone(three), state);
    if (state.warnings.length) {
      throw new Error(`strict reading warns: ${JSON.stringify(state.warnings)}`);
    }
  }
  if (three.type !== "Manifest") return;
  // The upgrader takes a canvas of 2.1 with a property that it does not expect there for something else.
  const written = version === 2 ? document.sequences.flatMap((sequence) => sequence.canvases) : document.items;
  const read = three.items.filter(({ id, type }) => type === "Canvas" && entities.Canvas?.[id]).length;
  if (written.length !== read) {
    throw new Error(`${written.length} canvases were written, ${read} were read`);
  }
}

for (const name of readdirSync(folder).filter((name) => name.endsWith(".json")).sort()) {
  const document = JSON.parse(readFileSync(join(folder, name), "utf8"));
  const context = [document["@context"]].flat().join(" ");
  const version = context.includes("/presentation/3/") ? 3 : context.includes("/presentation/2/") ? 2 : 0;
  // 2.1 canvases, sequences and lists are read as parts of their manifest only.
  if (!version || (version === 2 && !/^sc:(Manifest|Collection)$/.test(document["@type"]))) continue;
  count[version] += 1;
  try {
    check(name, version, document);
  } catch (error) {
    faults += 1;
    console.log(`  ${name}: @iiif/parser: ${error.message}`);
  }
}
console.log(`  @iiif/parser: ${count[3]} documents of 3.0 and ${count[2]} of 2.1 read, ${faults} faults`);
process.exit(faults || !count[2] || !count[3] ? 1 : 0);
