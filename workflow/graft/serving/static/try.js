// Photos that the model answers for, one after the other.

import { ask, watchState } from "./asking.js";
import { counted, listNear, make, named, percent } from "./elements.js";

const by = (id) => document.getElementById(id);
const MOST = 200; // photos at once, more than a person looks at
const AT_ONCE = 2;
const drop = by("drop");
let waiting = [];
let running = 0;
let done = 0;
let asked = 0;

function take(files) {
  const photos = [...files];
  by("said").textContent = photos.length > MOST
    ? `${MOST} photos at once are the most here; the first ${MOST} are taken. For more there is: graft predict FOLDER` : "";
  for (const file of photos.slice(0, MOST)) {
    const entry = make("li");
    entry.append(make("p", { className: "faint" }, named(file.name), " …"));
    by("answers").append(entry);
    waiting.push([file, entry]);
    asked += 1;
  }
  while (running < AT_ONCE && waiting.length) answerNext();
}

async function answerNext() {
  running += 1;
  for (let next; (next = waiting.shift()); ) await answer(...next);
  running -= 1;
}

async function answer(file, entry) {
  try {
    const most = Number(drop.dataset.largest);
    if (file.size > most) throw new Error(`it is larger than ${most / 2 ** 20} MiB`);
    const said = await ask("/api/try", { method: "POST", body: file });
    if (said.problem) throw new Error(`it cannot be read: ${said.problem}`);
    show(file, entry, said);
  } catch (error) {
    entry.replaceChildren(make("p", {}, named(file.name), ": ", error.message));
    entry.className = "failed";
  }
  done += 1;
  by("progress").textContent = done < asked ? `${done} of ${asked} photos` : counted(asked, "photo");
}

function show(file, entry, said) {
  const image = make("img", { src: URL.createObjectURL(file), alt: file.name });
  // Some formats only graft can read: then what the network sees is shown.
  image.onerror = () => { image.onerror = null; image.src = said.seen; };
  image.onload = () => URL.revokeObjectURL(image.src);
  const best = said.labels[0];
  const bars = make("dl", { className: "bars" });
  for (const one of said.labels) {
    const bar = make("i");
    bar.style.width = `${100 * one.confidence}%`;
    const track = make("div", { className: "track" }, bar);
    track.setAttribute("aria-hidden", "true");
    bars.append(make("dt", { title: one.name }, named(one.name)), make("dd", {}, track), make("dd", {}, percent(one.confidence)));
  }
  const about = make("div", {}, make("h2", {}, named(best.name), make("small", {}, percent(best.confidence))), bars);
  if (said.near.length) {
    const list = make("ul", { className: "near" });
    listNear(list, said.near, said.version, best.name);
    about.append(make("h3", { className: "small-heading" }, "The nearest training photos"), list);
  }
  about.append(make("p", { className: "faint" }, named(file.name)));
  entry.replaceChildren(image, about);
}

by("photos").onchange = (event) => {
  take(event.target.files);
  event.target.value = "";
};
for (const kind of ["dragover", "drop", "dragleave"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", kind === "dragover");
    if (kind === "drop") take(event.dataTransfer.files);
  });
}

watchState((state) => {
  drop.hidden = Boolean(state.model_missing);
  by("nothing").hidden = !state.model_missing;
  by("nothing-said").textContent = state.model_missing || "";
});
