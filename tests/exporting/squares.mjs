// Makes the squares of `test_web.py` in Node: squares.mjs FOLDER_OF_THE_PAGE FOLDER_OF_CASES.

import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [page, folder] = process.argv.slice(2);
const { draft, makeSquare } = await import(pathToFileURL(`${page}/square.js`));

for (const one of JSON.parse(readFileSync(`${folder}/cases.json`, "utf8"))) {
  const picture = { ...one, data: readFileSync(`${folder}/${one.name}`) };
  const drafted = one.isJpeg ? draft(picture, one.side) : picture;
  const square = makeSquare(drafted, one.side, one.fit, one.background);
  writeFileSync(`${folder}/${one.name}.square`, square.data);
}
