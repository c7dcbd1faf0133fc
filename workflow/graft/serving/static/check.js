// The pictures to look at, one after the other.

import { ask, watchState } from "./asking.js";
import { counted, fillClasses } from "./elements.js";
import { Panel } from "./panel.js";

const by = (id) => document.getElementById(id);
const KINDS = { suspected: "suspected label", mistake: "mistake of the model" };
let items = [];
let place = 0; // one behind the last is the end
let version = "";
const panel = new Panel(
  document.querySelector(".panel"), (step) => go(place + step), decided, () => items[place + 1],
);

function go(to) {
  place = Math.max(0, Math.min(items.length, to));
  const item = items[place];
  by("desk").hidden = !item;
  by("end").hidden = Boolean(item) || !items.length;
  showProgress();
  if (!item) return;
  panel.show(item, version);
}

function showProgress() {
  const done = items.filter((item) => item.decided !== null).length;
  const item = items[place];
  const where = item ? `Picture ${(place + 1).toLocaleString("en")} of ${items.length.toLocaleString("en")}: ${KINDS[item.kind]} · ` : "";
  by("progress").textContent = items.length ? `${where}${done.toLocaleString("en")} decided` : "";
  by("done").style.width = `${items.length ? (100 * done) / items.length : 0}%`;
  const left = items.length - done;
  by("end-said").textContent = left
    ? `This is the end of the list. ${counted(left, "picture")} of it ${left === 1 ? "is" : "are"} not decided.`
    : `All ${counted(items.length, "picture")} of the list ${items.length === 1 ? "is" : "are"} decided.`;
}

function decided(answer, undone) {
  const found = items.findIndex((item) => item.id === answer.id);
  if (found >= 0 && answer.picture) {
    items[found] = { ...items[found], ...answer.picture };
    go(undone ? found : nextOpen(found));
  } else {
    go(place);
    panel.say(`Undone: ${answer.picture?.path ?? "a picture that is not there any more"}`);
  }
}

// The next picture that is not decided: behind a place, else from the start.
function nextOpen(from) {
  const open = items.map((item, i) => (item.decided === null ? i : -1)).filter((i) => i >= 0);
  return open.find((i) => i > from) ?? open[0] ?? items.length;
}

watchState(async (state) => {
  const shown = items[place]?.id;
  by("nothing").hidden = true;
  items = [];
  if (!state.missing) {
    version = state.version;
    items = (await ask("/api/queue")).items;
    panel.setClasses(state.classes);
    panel.setSteps(state.steps);
    fillClasses(state.classes);
    by("where").textContent = state.corrections;
  }
  if (!items.length) {
    by("nothing").hidden = false;
    by("nothing-said").textContent = state.missing
      || "No label is suspected, and the model makes no mistake on its validation and test parts. All pictures has the others.";
  }
  const again = items.findIndex((item) => item.id === shown);
  go(again >= 0 ? again : nextOpen(-1));
});

by("again").onclick = () => go(0);
document.addEventListener("keydown", (event) => {
  if (!items.length) return;
  // At the end only the arrows and the way back mean anything.
  if (!items[place] && !["ArrowLeft", "u", "U"].includes(event.key)) return;
  if (panel.press(event)) event.preventDefault();
});
