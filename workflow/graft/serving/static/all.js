// The whole set as small pictures, of which only those in sight are in the page.

import { ask, notify, watchState } from "./asking.js";
import { address, counted, fillClasses, make, named, PARTS, sayLabel, sayPart, sharpen } from "./elements.js";
import { Panel } from "./panel.js";

const by = (id) => document.getElementById(id);
const [GAP, CAPTION, SIDE, PHONE_SIDE] = [14, 28, 128, 96]; // pixels
const SLICE = 200; // pictures that are asked for at once
const grid = by("grid");
const dialog = by("enlarged");
const tiles = new Map(); // by place
let slices = new Map(); // by number: pictures, or null while they are on their way
let total = 0;
let version = "";
let opened = -1;
let focused = -1;
let generation = 0; // answers to an earlier question are not shown
const panel = new Panel(
  dialog.querySelector(".panel"), (step) => open(opened + step), decided, () => at(opened + 1),
);

function at(place) {
  return slices.get(Math.floor(place / SLICE))?.[place % SLICE];
}

function layOut() {
  const width = grid.clientWidth;
  const wanted = width < 500 ? PHONE_SIDE : SIDE;
  const columns = Math.max(2, Math.floor((width + GAP) / (wanted + GAP)));
  const side = (width - GAP * (columns - 1)) / columns;
  return { columns, side, row: side + CAPTION + GAP };
}

function render() {
  const { columns, side, row } = layOut();
  grid.style.height = `${Math.ceil(total / columns) * row}px`;
  const above = -grid.getBoundingClientRect().top;
  const first = Math.max(0, Math.floor(above / row) - 1) * columns;
  const last = Math.min(total, Math.ceil((above + window.innerHeight) / row + 1) * columns);
  for (const [place, tile] of tiles) {
    if ((place < first || place >= last) && place !== focused) {
      tile.remove();
      tiles.delete(place);
    }
  }
  for (let place = first; place < last; place++) {
    if (!tiles.has(place)) tiles.set(place, makeTile(place));
    fill(tiles.get(place), place);
  }
  for (const [place, tile] of tiles) {
    const [x, y] = [(place % columns) * (side + GAP), Math.floor(place / columns) * row];
    tile.style.transform = `translate(${x}px, ${y}px)`;
    tile.style.width = `${side}px`;
    tile.style.height = `${row - GAP}px`;
  }
  // In the order of their places, which is that of the tabulator.
  const ordered = [...tiles].sort(([a], [b]) => a - b).map(([, tile]) => tile);
  ordered.forEach((tile, i) => {
    if (grid.children[i] !== tile) grid.insertBefore(tile, grid.children[i] || null);
  });
  for (let slice = Math.floor(first / SLICE); slice * SLICE < last; slice++) load(slice);
}

function makeTile(place) {
  const tile = make("li");
  tile.setAttribute("aria-setsize", total);
  tile.setAttribute("aria-posinset", place + 1);
  const button = make("button", { type: "button" });
  button.onclick = () => open(place);
  button.onfocus = () => { focused = place; };
  tile.append(button);
  return tile;
}

function fill(tile, place) {
  const picture = at(place);
  const key = picture ? `${picture.id} ${version} ${picture.decided}` : "";
  if (tile.dataset.key === key) return;
  tile.dataset.key = key;
  const button = tile.firstChild;
  if (!picture) {
    button.replaceChildren(make("span", { className: "blank" }, make("span", { className: "unseen" }, "on its way")));
    return;
  }
  const name = make("span", { className: "name" }, named(sayLabel(picture)));
  name.classList.toggle("decided", picture.decided !== null && picture.waiting);
  const path = make("span", { className: "unseen" }, `, ${picture.path}`);
  const blank = make("span", { className: "blank" }, picture.problem || "no picture");
  let image = blank;
  if (!picture.problem) {
    image = make("img", { alt: "", decoding: "async", src: address("small", picture, version) });
    sharpen(image);
    image.onerror = () => image.replaceWith(blank);
  }
  button.title = `${picture.path} · ${sayPart(picture.part)}`;
  button.replaceChildren(image, name, path);
}

async function load(slice) {
  if (slices.has(slice)) return;
  const own = generation;
  slices.set(slice, null);
  const asked = new URLSearchParams({ class: by("class").value, part: by("part").value, start: slice * SLICE, count: SLICE });
  try {
    const answer = await ask(`/api/pictures?${asked}`);
    if (own !== generation) return;
    slices.set(slice, answer.pictures);
    total = answer.total;
    version = answer.version;
    by("count").textContent = counted(total, "picture");
    render();
    if (opened >= 0 && at(opened)) open(opened);
  } catch (error) {
    if (own === generation) slices.delete(slice);
    notify("server", error.message, true);
  }
}

async function restart() {
  generation += 1;
  slices = new Map();
  tiles.clear();
  grid.replaceChildren();
  total = 0;
  focused = -1;
  if (dialog.open) dialog.close();
  await load(0);
}

function open(place) {
  if (place < 0 || place >= total) return;
  opened = place;
  const picture = at(place);
  if (!picture) {
    load(Math.floor(place / SLICE));
    return;
  }
  panel.show(picture, version);
  if (!dialog.open) dialog.showModal();
}

function decided(answer, undone) {
  for (const pictures of slices.values()) {
    const found = pictures?.findIndex((picture) => picture.id === answer.id) ?? -1;
    if (found >= 0 && answer.picture) pictures[found] = answer.picture;
  }
  render();
  if (undone && answer.picture && at(opened)?.id !== answer.id) {
    panel.show(answer.picture, version);
    return;
  }
  open(opened);
}

dialog.addEventListener("close", () => {
  const place = opened;
  opened = -1;
  if (place >= 0) focusOn(place);
});
by("close").onclick = () => dialog.close();
dialog.addEventListener("keydown", (event) => {
  if (panel.press(event)) event.preventDefault();
});

function focusOn(place) {
  const { columns, row } = layOut();
  const top = grid.getBoundingClientRect().top + Math.floor(place / columns) * row;
  const bar = document.querySelector("nav").offsetHeight;
  if (top < bar) window.scrollBy(0, top - bar - GAP);
  else if (top + row > window.innerHeight) window.scrollBy(0, top + row - window.innerHeight);
  focused = place;
  render();
  tiles.get(place)?.firstChild.focus({ preventScroll: true });
}

grid.addEventListener("keydown", (event) => {
  const { columns } = layOut();
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
  const to = { Home: 0, End: total - 1 }[event.key] ?? focused + (steps[event.key] ?? NaN);
  if (event.ctrlKey || event.metaKey || event.altKey || !(to >= 0 && to < total)) return;
  event.preventDefault();
  focusOn(to);
});

function fillChoices(state) {
  const [chosen, part] = [by("class"), by("part")];
  const kept = [chosen.value, part.value];
  const option = (value, name, count) => make("option", { value }, `${name} (${count.toLocaleString("en")})`);
  const classes = state.classes.map((one, place) => option(`${place}`, one.name, one.count));
  if (state.without) classes.push(option(`${classes.length}`, "Left out by hand", state.without));
  chosen.replaceChildren(option("", "All classes", state.total), ...classes);
  const parts = Object.entries(state.parts).filter(([name, count]) => count || name === "decided");
  const shown = parts.map(([name, count]) => option(name, PARTS[name], count));
  part.replaceChildren(option("", "All parts", state.total), ...shown);
  for (const [select, value] of [[chosen, kept[0]], [part, kept[1]]]) {
    if ([...select.options].some((one) => one.value === value)) select.value = value;
  }
}

let due = false;
function renderSoon() {
  if (due) return;
  due = true;
  requestAnimationFrame(() => {
    due = false;
    render();
  });
}
window.addEventListener("scroll", renderSoon, { passive: true });
new ResizeObserver(renderSoon).observe(grid);
by("class").onchange = restart;
by("part").onchange = restart;

watchState(async (state) => {
  by("nothing").hidden = !state.missing;
  by("nothing-said").textContent = state.missing || "";
  document.querySelector(".controls").hidden = Boolean(state.missing);
  if (state.missing) return;
  panel.setClasses(state.classes);
  panel.setSteps(state.steps);
  fillClasses(state.classes);
  fillChoices(state);
  await restart();
});
