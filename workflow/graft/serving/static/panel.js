// One picture, enlarged, and what may be said of it: by the mouse, by touch and by keys.

import { ask, post, showWaiting } from "./asking.js";
import { address, listNear, make, named, percent, sayPart, sharpen } from "./elements.js";

const BUTTONS = 9; // classes that have one, and a key
const STAYS = 120; // milliseconds
const WITHOUT = "graft-letters=off"; // a cookie, since each start has another port
const ahead = new Image();

export class Panel {
  // `root` is the panel; `moved(step)` goes to another picture; `decided(answer, undone)` is told
  // what the server has written; `next()` is the picture that comes next, if there is one.
  constructor(root, moved, decided, next) {
    this.root = root;
    this.moved = moved;
    this.decided = decided;
    this.next = next;
    this.picture = null;
    this.classes = [];
    this.busy = false;
    this.steps = 0;
    this.find(".keep").onclick = () => this.keep();
    this.find(".out").onclick = () => this.decide("");
    this.find(".undo").onclick = () => this.undo();
    this.find(".back").onclick = () => moved(-1);
    this.find(".on").onclick = () => moved(1);
    this.find(".typed").onsubmit = (event) => {
      event.preventDefault();
      this.decideTyped(this.find(".typed input").value);
    };
    // Who speaks to a computer, or holds a hand on the keys, would decide by accident (WCAG 2.1.4).
    this.letters = this.find(".letters input");
    this.letters.checked = !document.cookie.includes(WITHOUT);
    this.letters.onchange = () => this.setLetters();
    this.setLetters();
    this.image = this.find(".large");
    this.fault = make("p", { hidden: true });
    this.image.after(this.fault);
    sharpen(this.image);
    this.image.addEventListener("load", () => this.showLoaded());
    this.image.onerror = () => this.showFault();
  }

  // Fetches the picture that comes next, so that it is there in time.
  ahead(version) {
    const picture = this.next();
    if (picture) ahead.src = address("large", picture, version);
  }

  find(selector) {
    return this.root.querySelector(selector);
  }

  setClasses(classes) {
    this.classes = classes.map((one) => one.name);
  }

  setSteps(count) {
    this.steps = count;
    this.find(".undo").disabled = !count;
  }

  setLetters() {
    const seconds = this.letters.checked ? 0 : 365 * 86400;
    document.cookie = `${WITHOUT}; max-age=${seconds}; path=/; samesite=strict`;
    this.root.classList.toggle("without-letters", !this.letters.checked);
  }

  say(text) {
    this.find(".said").textContent = text;
  }

  show(picture, version) {
    const other = !this.picture || this.picture.id !== picture.id || this.version !== version;
    this.picture = picture;
    this.version = version;
    this.say("");
    this.find(".typed input").value = "";
    const label = picture.labels.length ? picture.labels.map(named) : ["left out"];
    this.find(".label").replaceChildren(...label.flatMap((one, i) => (i ? [" and ", one] : [one])));
    if (picture.wrong) this.find(".label").append(make("small", {}, ` wrong with a probability of ${percent(picture.wrong)}`));
    this.showLooks(picture);
    const decision = picture.decided;
    for (const element of this.root.querySelectorAll(".of-decision")) element.hidden = decision === null;
    if (decision !== null) {
      const waits = make("small", {}, picture.waiting ? " · waits for the next build" : " · built");
      this.find(".decision").replaceChildren(decision ? named(decision) : "left out", waits);
    }
    this.showButtons(picture);
    const files = picture.files > 1 ? ` · ${picture.files} equal files` : "";
    this.find(".path").replaceChildren(named(picture.path), ` · ${sayPart(picture.part)}${files}`);
    if (other) this.showPicture(picture, version);
  }

  showLooks(picture) {
    const known = picture.looks_like !== undefined;
    for (const element of this.root.querySelectorAll(".of-looks")) element.hidden = !known;
    if (!known) return;
    const judges = picture.kind === "mistake" ? "by the model" : "by classifiers that have not learned from it";
    const why = make("small", { className: "line" }, judges);
    const sure = make("small", {}, ` ${percent(picture.confidence)}`);
    this.find(".looks").replaceChildren(named(picture.looks_like), sure, why);
  }

  showButtons(picture) {
    const kept = picture.labels.length === 1 ? picture.labels[0] : null;
    const keep = this.find(".keep");
    keep.hidden = kept === null;
    keep.querySelector("bdi").textContent = kept || "";
    keep.setAttribute("aria-pressed", picture.decided !== null && picture.decided === kept);
    this.find(".out").setAttribute("aria-pressed", picture.decided === "");
    this.keys = this.findKeys(picture);
    const buttons = [...this.keys].map(([key, name]) => {
      const button = make("button", { type: "button" }, named(name), " ", make("kbd", {}, key));
      button.classList.toggle("likely", name === picture.looks_like);
      button.setAttribute("aria-pressed", picture.decided === name && name !== kept);
      button.onclick = () => this.decide(name);
      return button;
    });
    this.find(".choices").replaceChildren(...buttons);
  }

  // Classes by key. A class that is called 3 has the key 3; of up to nine classes each has its
  // number; of more, 1 is what the picture looks like, and the others are typed.
  findKeys(picture) {
    const digits = this.classes.filter((name) => /^[0-9]$/.test(name));
    if (digits.length) return new Map(digits.map((name) => [name, name]));
    if (this.classes.length <= BUTTONS) {
      return new Map(this.classes.map((name, place) => [`${place + 1}`, name]));
    }
    return new Map(picture.looks_like === undefined ? [] : [["1", picture.looks_like]]);
  }

  // Who leafs through is not shown what is on the way: a picture comes at once, but for one that
  // follows another within a moment, and what is near it once a person stays.
  showPicture(picture, version) {
    const now = performance.now();
    const leafing = now - (this.came ?? -STAYS) < STAYS;
    this.came = now;
    clearTimeout(this.staying);
    this.asking?.abort();
    this.staying = setTimeout(() => {
      if (leafing) this.load(picture, version);
      this.showNear(picture, version);
    }, STAYS);
    this.fault.hidden = true;
    this.image.hidden = false;
    this.find(".frame-large").setAttribute("aria-busy", "true");
    this.find(".near-frame").hidden = true;
    if (!leafing) this.load(picture, version);
  }

  load(picture, version) {
    this.image.alt = picture.path;
    this.image.src = address("large", picture, version);
  }

  async showNear(picture, version) {
    this.ahead(version);
    this.asking = new AbortController();
    const { signal } = this.asking;
    const { near } = await ask(`/api/near/${picture.id}`, { signal }).catch(() => ({ near: [] }));
    if (signal.aborted) return;
    const frame = this.find(".near-frame");
    frame.hidden = !near.length;
    listNear(this.find(".near"), near, version, picture.labels[0]);
  }

  showLoaded() {
    this.find(".frame-large").removeAttribute("aria-busy");
    if (this.find(".said").textContent.startsWith("The picture is on its way")) this.say("");
  }

  async showFault() {
    const shown = this.picture;
    let said = "The picture cannot be shown.";
    try {
      await ask(address("large", shown, this.version));
    } catch (error) {
      said = error.message;
    }
    if (this.picture?.id !== shown.id) return;
    this.showLoaded();
    this.image.hidden = true;
    this.fault.hidden = false;
    this.fault.textContent = said;
  }

  keep() {
    if (this.picture?.labels.length === 1) this.decide(this.picture.labels[0]);
  }

  decideTyped(text) {
    const name = findName(text, this.classes);
    if (name === null) {
      this.say(text ? `No class, or more than one, is called “${text}”.` : "Type the name of a class.");
      return;
    }
    this.find(".typed input").blur();
    this.decide(name);
  }

  decide(label) {
    if (!this.picture) return;
    if (this.find(".frame-large").hasAttribute("aria-busy")) {
      this.say("The picture is on its way: decide once you see it.");
      return;
    }
    const id = this.picture.id;
    this.change(() => post("/api/decide", { id, label }), false);
  }

  undo() {
    if (this.steps) this.change(() => post("/api/undo", {}), true);
  }

  // A key that is pressed before the answer is there would mean a picture that nobody has seen.
  async change(send, undone) {
    if (this.busy) return;
    this.busy = true;
    try {
      const answer = await send();
      this.setSteps(answer.steps);
      showWaiting(answer.waiting);
      await this.decided(answer, undone);
    } catch (error) {
      this.say(error.message);
    } finally {
      this.busy = false;
    }
  }

  // What a key does; whether it does anything.
  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    if (event.target.closest("input:not([type=checkbox]), select, textarea")) {
      if (event.key === "Escape" && event.target.value) {
        event.target.value = "";
        return true;
      }
      return false;
    }
    if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      this.moved(event.key === "ArrowLeft" ? -1 : 1);
      return true;
    }
    if (event.repeat || !this.letters.checked) return false; // a key that is held down decides once
    const key = event.key.toLowerCase();
    const actions = { k: () => this.keep(), x: () => this.decide(""), u: () => this.undo() };
    actions.c = actions["/"] = () => this.find(".typed input").focus();
    const action = this.keys?.has(key) ? () => this.decide(this.keys.get(key)) : actions[key];
    if (!action) return false;
    action();
    return true;
  }
}

// The class that a text means: its name, or a part of one name only; null where there is none.
export function findName(text, names) {
  const folded = (name) => name.normalize("NFC").trim().toLowerCase();
  const wanted = folded(text);
  if (names.includes(text)) return text;
  if (!wanted) return null;
  for (const rule of [(n) => n === wanted, (n) => n.startsWith(wanted), (n) => n.includes(wanted)]) {
    const found = names.filter((name) => rule(folded(name)));
    if (found.length === 1) return found[0];
    if (found.length) return null;
  }
  return null;
}
