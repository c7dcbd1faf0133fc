"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("scripts");
  const data = JSON.parse(document.getElementById("data").textContent);
  const find = (name) => document.getElementById(name);
  const make = (name, text) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const count = (n, one) => `${n.toLocaleString("en")} ${one}${n === 1 ? "" : "s"}`;
  const percent = (share) => `${(100 * share).toFixed(1)}\u00a0%`;
  const option = (select, value, text) => select.append(new Option(text, value));
  const model = () => {
    const checked = document.querySelector('input[name="model"]:checked');
    return checked ? checked.value : data.models[0];
  };
  const whenModelChanges = (act) => {
    for (const input of document.querySelectorAll('input[name="model"]')) input.addEventListener("change", act);
  };

  // Tables that sort: a button in each head; the value of a cell is its data-v, or its text.
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.v === undefined ? cell.textContent.trim() : cell.dataset.v;
    return text !== "" && isFinite(text) ? Number(text) : text;
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = make("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", up === 1 ? "ascending" : "descending");
        const body = table.tBodies[0];
        const rows = [...body.rows].map((row) => [valueOf(row, column), row]);
        rows.sort(([a], [b]) => up * (typeof a === "number" && typeof b === "number" ? a - b : String(a) < String(b) ? -1 : 1));
        body.append(...rows.map(([, row]) => row));
      });
    });
  }

  // Photos: one list, of which some are shown.
  const STEP = 48;
  const photos = [...document.querySelectorAll("#mistakes .photo")].map((item) => {
    const answers = {};
    for (const key of data.models) {
      const [predicted, confidence] = item.dataset[key].split(" ").map(Number);
      answers[key] = { predicted, confidence };
    }
    return { item, label: Number(item.dataset.label), answers };
  });
  const list = find("photos");
  let shownPhotos = STEP;
  const showPhotos = () => {
    const key = model();
    const wanted = find("photo-class").value;
    const least = Number(find("photo-confidence").value) / 100;
    const right = find("photo-right").checked;
    const chosen = photos.filter(({ label, answers }) => {
      const { predicted, confidence } = answers[key];
      if (predicted === label && !right) return false;
      if (wanted !== "" && label !== Number(wanted) && predicted !== Number(wanted)) return false;
      return confidence >= least;
    });
    const wrong = ({ label, answers }) => (answers[key].predicted === label ? 0 : 1);
    chosen.sort((a, b) => {
      const side = wrong(b) - wrong(a);
      const way = wrong(a) ? -1 : 1;
      return side || way * (a.answers[key].confidence - b.answers[key].confidence);
    });
    for (const { item } of photos) item.hidden = true;
    chosen.slice(0, shownPhotos).forEach(({ item }) => { item.hidden = false; });
    list.append(...chosen.map(({ item }) => item));
    find("photo-more").hidden = chosen.length <= shownPhotos;
    const seen = Math.min(shownPhotos, chosen.length);
    find("photo-count").textContent = seen < chosen.length ? `${seen} of ${count(chosen.length, "photo")}` : count(seen, "photo");
  };
  if (list) {
    for (const { item } of photos) list.append(item);
    for (const more of document.querySelectorAll("#mistakes .more")) more.remove();
    const anew = () => { shownPhotos = STEP; showPhotos(); };
    for (const name of ["photo-class", "photo-confidence", "photo-right"]) find(name).addEventListener("input", anew);
    find("photo-more").addEventListener("click", () => { shownPhotos += STEP; showPhotos(); });
    whenModelChanges(anew);
    showPhotos();
  }

  // A photo is enlarged by a click, or by Enter where it has the focus.
  const large = make("dialog");
  large.id = "large";
  document.body.append(large);
  const pictures = ".photos .photo img:not(.shade)";
  const nameOf = (image) => {
    const words = image.closest(".photo").querySelector("p");
    return words ? words.textContent.replace(/\s+/g, " ").trim() : "";
  };
  for (const image of document.querySelectorAll(pictures)) {
    image.tabIndex = 0;
    image.setAttribute("role", "button");
    image.alt = `Enlarge: ${nameOf(image)}`;
  }
  const enlarge = (image) => {
    const shown = image.cloneNode();
    for (const name of ["role", "tabindex", "width", "height"]) shown.removeAttribute(name);
    shown.alt = nameOf(image);
    const path = image.closest(".photo").querySelector(".path");
    const close = make("button", "Close");
    close.type = "button";
    close.addEventListener("click", () => large.close());
    large.setAttribute("aria-label", "A photo, enlarged");
    large.replaceChildren(shown, make("p", nameOf(image)), ...(path ? [path.cloneNode(true)] : []), close);
    large.showModal();
  };
  large.addEventListener("click", (event) => { if (event.target === large || event.target.matches("img")) large.close(); });
  document.addEventListener("click", (event) => { if (event.target.matches(pictures)) enlarge(event.target); });
  document.addEventListener("keydown", (event) => {
    if ((event.key === "Enter" || event.key === " ") && event.target.matches(pictures)) {
      event.preventDefault();
      enlarge(event.target);
    }
  });

  // The photos of a cell of the matrix.
  const dialog = find("cell");
  const showCell = (row, column, number) => {
    const key = model();
    const own = photos.filter(({ label, answers }) => label === row && answers[key].predicted === column);
    own.sort((a, b) => (row === column ? 1 : -1) * (a.answers[key].confidence - b.answers[key].confidence));
    const title = find("cell-title");
    const name = (i) => make("bdi", data.classes[i]);
    title.replaceChildren(`${count(number, "photo")} of `, name(row), row === column ? ", found as such" : " taken for ", row === column ? "" : name(column));
    const here = own.length === 1 ? "1 of them is" : `${own.length.toLocaleString("en")} of them are`;
    const file = `reports/${key}/predictions.csv`;
    find("cell-note").textContent = own.length === number ? "" : own.length ? `${here} on this page; all are in ${file}.` : `None of them is on this page; they are in ${file}.`;
    dialog.querySelector(".photos").replaceChildren(...own.map(({ item }) => {
      const copy = item.cloneNode(true);
      copy.hidden = false;
      return copy;
    }));
    dialog.showModal();
    dialog.scrollTop = 0;
  };
  find("cell-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

  // The matrix: the counts of every model by row, then column.
  const n = data.classes.length;
  const matrices = {};
  for (const key of data.models) {
    const rows = new Map();
    const totals = new Array(n).fill(0);
    const mistakes = new Array(n).fill(0);
    const cells = data.cells[key] || [];
    for (let k = 0; k < cells.length; k += 3) {
      const [row, column, number] = cells.slice(k, k + 3);
      if (!rows.has(row)) rows.set(row, new Map());
      rows.get(row).set(column, number);
      totals[row] += number;
      if (row !== column) { mistakes[row] += number; mistakes[column] += number; }
    }
    matrices[key] = { rows, totals, mistakes, cells };
  }
  const countAt = (key, row, column) => matrices[key].rows.get(row)?.get(column) || 0;
  const strength = (key, row, column) => {
    const number = countAt(key, row, column);
    return number ? 0.12 + 0.88 * (number / matrices[key].totals[row]) ** 0.6 : 0;
  };
  const matrixOrder = () => {
    const chosen = find("matrix-order").value;
    const given = [...Array(n).keys()];
    if (chosen === "alike") return data.order;
    const { mistakes } = matrices[model()];
    return chosen === "given" ? given : given.sort((a, b) => mistakes[b] - mistakes[a] || a - b);
  };
  const readout = find("matrix-readout");
  const readCell = (key, row, column) => {
    const number = countAt(key, row, column);
    const total = matrices[key].totals[row];
    const name = (i) => make("bdi", data.classes[i]);
    readout.replaceChildren("What is ", name(row), ": ", name(column), ` in ${number.toLocaleString("en")} of ${count(total, "photo")}`, total ? ` (${percent(number / total)}).` : ".");
  };
  const button = (key, row, column, text) => {
    const made = make("button", text);
    made.type = "button";
    made.dataset.cell = `${row} ${column}`;
    const number = countAt(key, row, column);
    made.setAttribute("aria-label", `${count(number, "photo")} of ${data.classes[row]}, ${row === column ? "found as such" : `taken for ${data.classes[column]}`}`);
    return made;
  };
  document.addEventListener("click", (event) => {
    const at = event.target.closest("[data-cell]");
    if (!at) return;
    const [row, column] = at.dataset.cell.split(" ").map(Number);
    showCell(row, column, countAt(model(), row, column));
  });
  const start = { row: 0, column: 0 };
  const drawMatrix = () => {
    const key = model();
    const table = find(`matrix-${key}`);
    const order = matrixOrder();
    const size = Math.min(Number(find("matrix-zoom").value), n);
    start.row = Math.max(0, Math.min(start.row, n - size));
    start.column = Math.max(0, Math.min(start.column, n - size));
    const rows = order.slice(start.row, start.row + size);
    const columns = order.slice(start.column, start.column + size);
    const shares = find("matrix-values").value === "shares";
    table.style.setProperty("--n", size);
    const head = (name, scope) => {
      const made = make("th");
      const span = make("span");
      made.scope = scope;
      span.title = name;
      span.append(make("bdi", name));
      made.append(span);
      return made;
    };
    const top = make("tr");
    top.append(make("td"), ...columns.map((column) => head(data.classes[column], "col")));
    table.tHead.replaceChildren(top);
    table.tBodies[0].replaceChildren(...rows.map((row) => {
      const line = make("tr");
      line.append(head(data.classes[row], "row"), ...columns.map((column) => {
        const cell = make("td");
        const number = countAt(key, row, column);
        if (number) {
          const share = 100 * number / matrices[key].totals[row];
          cell.className = row === column ? "hit" : "miss";
          cell.style.setProperty("--t", strength(key, row, column).toFixed(2));
          cell.append(button(key, row, column, shares ? (share < 9.95 ? share.toFixed(1) : share.toFixed(0)) : number));
        }
        return cell;
      }));
      return line;
    }));
    const part = document.querySelector("#matrix-note .part");
    if (part) part.textContent = `${size} of ${n.toLocaleString("en")} classes.`;
    find("matrix-moves").hidden = size >= n;
    if (size < n) {
      for (const side of ["row", "column"]) {
        const select = find(`matrix-${side}`);
        select.replaceChildren();
        order.forEach((i, place) => option(select, place, data.classes[i]));
        select.value = start[side];
      }
    }
    drawOverview(key, order, size);
  };
  const drawOverview = (key, order, size) => {
    const canvas = find("matrix-overview");
    canvas.hidden = size >= n || n <= 12;
    if (canvas.hidden) return;
    const scale = Math.max(1, Math.floor(300 / n));
    canvas.width = canvas.height = n * scale;
    canvas.style.width = `${Math.max(240, Math.min(n * scale, 420))}px`;
    const style = getComputedStyle(root);
    const pen = canvas.getContext("2d");
    pen.fillStyle = style.getPropertyValue("--empty");
    pen.fillRect(0, 0, canvas.width, canvas.height);
    const place = new Array(n);
    order.forEach((i, at) => { place[i] = at; });
    const { cells } = matrices[key];
    // A single cell among a million would not be seen.
    const dot = Math.max(scale, Math.ceil(n / 200));
    for (const right of [true, false]) {
      pen.fillStyle = style.getPropertyValue(right ? "--right" : "--wrong");
      for (let k = 0; k < cells.length; k += 3) {
        const [row, column] = [cells[k], cells[k + 1]];
        if ((row === column) !== right) continue;
        pen.globalAlpha = Math.max(0.4, strength(key, row, column));
        pen.fillRect(place[column] * scale - (dot - scale) / 2, place[row] * scale - (dot - scale) / 2, dot, dot);
      }
    }
    pen.globalAlpha = 1;
    pen.strokeStyle = style.getPropertyValue("--ink");
    pen.lineWidth = Math.max(1.5, canvas.width / 200);
    pen.strokeRect(start.column * scale, start.row * scale, size * scale, size * scale);
  };
  if (find("matrix-zoom")) {
    const zoom = find("matrix-zoom");
    const steps = [10, 20, 40, 60].filter((size) => size < n);
    for (const size of steps) option(zoom, size, String(size));
    if (n <= 120) option(zoom, n, `all ${n}`);
    // As many as there is room for at a size that can be read.
    const width = document.querySelector(".matrix-scroll").clientWidth;
    const beside = n > 60 && width > 800 ? 420 : 0;
    const room = (width - beside - 150) / 17.5;
    const fitting = [...zoom.options].filter((one) => Number(one.value) <= Math.max(room, 10));
    zoom.value = (fitting.at(-1) || zoom.options[0]).value;
    if (zoom.options.length === 1) zoom.parentElement.hidden = true;
    if (n < 3) find("matrix-order").parentElement.hidden = true;
    for (const name of ["matrix-order", "matrix-values", "matrix-zoom"]) find(name).addEventListener("change", () => {
      start.row = start.column = 0;
      drawMatrix();
    });
    for (const side of ["row", "column"]) find(`matrix-${side}`).addEventListener("change", (event) => {
      start[side] = Number(event.target.value);
      drawMatrix();
    });
    find("matrix-overview").addEventListener("click", (event) => {
      const box = event.target.getBoundingClientRect();
      const half = Number(zoom.value) / 2;
      start.row = Math.round((event.clientY - box.top) / box.height * n - half);
      start.column = Math.round((event.clientX - box.left) / box.width * n - half);
      drawMatrix();
    });
    const scroll = document.querySelector(".matrix-scroll");
    for (const kind of ["pointerover", "focusin"]) scroll.addEventListener(kind, (event) => {
      const at = event.target.closest("td");
      const inside = at && at.querySelector("[data-cell]");
      if (inside) readCell(model(), ...inside.dataset.cell.split(" ").map(Number));
    });
    // Arrows go from cell to cell.
    scroll.addEventListener("keydown", (event) => {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      const cell = event.target.closest && event.target.closest("td");
      if (!step || !cell) return;
      event.preventDefault();
      const lines = cell.closest("tbody").rows;
      let row = cell.parentElement.sectionRowIndex;
      let column = cell.cellIndex;
      for (;;) {
        row += step[0];
        column += step[1];
        const next = lines[row]?.cells[column];
        if (!next || column < 1) return;
        const inside = next.querySelector("button");
        if (inside) { inside.focus(); return; }
      }
    });
    whenModelChanges(drawMatrix);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawMatrix);
    drawMatrix();
  }

  // The list of doubtful labels, for a spreadsheet.
  const copier = find("copy-csv");
  if (copier) copier.addEventListener("click", async () => {
    const say = (text) => { find("copy-done").textContent = text; };
    try {
      await navigator.clipboard.writeText(data.csv);
      say("Copied.");
    } catch {
      const area = make("textarea", data.csv);
      document.body.append(area);
      area.select();
      say(document.execCommand("copy") ? "Copied." : "The browser does not allow it; the list is in reports/label_errors.csv.");
      area.remove();
      copier.focus();
    }
  });
})();
