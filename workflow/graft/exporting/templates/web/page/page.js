// What people do on the page: photos come in by dropping, choosing, pasting, or from the camera.

import { ask, ready } from "./asking.js";
import { useCamera } from "./camera.js";
import { make, makeCard, percent, showAnswer, showProblem } from "./cards.js";

const by = (id) => document.getElementById(id);
const LARGEST = 256; // MiB of a file, as in graft
const waiting = []; // photos without an answer
let [answered, taken] = [0, 0];
let running = false;

function take(photos) {
  // The newest are on top, where one looks.
  const entries = photos.map(([name, photo]) => ({ name, photo, card: makeCard(name) }));
  by("answers").prepend(...entries.map(({ card }) => card));
  by("clear").hidden = false;
  waiting.push(...entries);
  if (!running) answerAll();
}

// One after the other: of many photos only one is decoded at a time.
async function answerAll() {
  running = true;
  const { classes } = await ready;
  while (waiting.length) {
    const { name, photo, card } = waiting.shift();
    const said = await answer(name, photo, card, classes);
    if (!card.isConnected) continue; // cleared in the meantime
    answered += 1;
    // Of many at once only the count is read out.
    const many = answered + waiting.length > 1;
    by("progress").textContent = many ? `${answered} of ${answered + waiting.length} photos` : said;
  }
  [running, answered] = [false, 0];
}

async function answer(name, photo, card, classes) {
  const isLarge = photo.size > LARGEST * 2 ** 20;
  const reply = isLarge ? { problem: `The file is larger than ${LARGEST} MiB.` } : await ask(photo);
  if (!reply.problem) return showAnswer(card, name, classes, reply);
  showProblem(card, reply.problem);
  return `${name}: ${reply.problem}`;
}

const takeFiles = (files) => take([...files].map((file) => [file.name, file]));

by("photos").addEventListener("change", ({ target }) => {
  takeFiles(target.files);
  target.value = ""; // the same file may be chosen again
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    by("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") takeFiles(event.dataTransfer.files);
  });
}
document.addEventListener("paste", ({ clipboardData }) => takeFiles(clipboardData.files));
by("clear").addEventListener("click", () => {
  [waiting.length, answered] = [0, 0];
  by("answers").replaceChildren();
  by("progress").textContent = "";
  by("clear").hidden = true;
  by("photos").focus();
});
useCamera(by("camera"), by("use-camera"), (photo) => {
  taken += 1;
  take([[`Camera ${taken}`, photo]]);
}, (problem) => { by("problem").textContent = problem; });

ready.then(({ classes, checked }) => {
  by("about").textContent = `The model knows ${classes.length} classes. `
    + `Of ${checked.n.toLocaleString("en")} test photos it was right for ${percent(checked.after)}.`;
  by("classes").append(...classes.map((name) => make("li", {}, make("bdi", {}, name))));
  by("known").hidden = false;
}, (error) => {
  by("about").textContent = "The model does not run.";
  by("problem").textContent = error.message;
});
