// What is shown of a photo. Names of classes and files are texts, never markup.

const SHOWN = 5; // of many classes, the most likely

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

export function percent(share) {
  return share < 0.0005 ? "<0.1 %" : `${(100 * share).toFixed(1)} %`;
}

/** A card for a photo that has no answer yet. */
export function makeCard(name) {
  return make("li", { className: "card" },
    make("div", { className: "photo" }),
    make("p", { className: "name", title: name }, make("bdi", {}, name)),
    make("p", { className: "wait" }, "…"));
}

/**
 * Puts an answer into a card.
 *
 * @returns {string} the same in a few words
 */
export function showAnswer(card, name, classes, { probabilities, preview }) {
  const canvas = make("canvas", { width: preview.width, height: preview.height });
  canvas.getContext("2d").drawImage(preview, 0, 0);
  preview.close();
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", name);
  card.querySelector(".photo").append(canvas);

  const order = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
  const [best] = order;
  const title = make("h2", { title: classes[best] }, make("bdi", {}, classes[best]));
  card.querySelector(".wait").replaceWith(title, listBars(order.slice(0, SHOWN), classes, probabilities));
  if (order.length > SHOWN) {
    const rest = order.slice(SHOWN);
    const more = make("details", {}, make("summary", {}, `${rest.length} more`));
    // A list of a thousand classes is made when it is wanted.
    more.addEventListener("toggle", () => more.append(listBars(rest, classes, probabilities)), { once: true });
    card.append(more);
  }
  return `${name}: ${classes[best]}, ${percent(probabilities[best])}`;
}

export function showProblem(card, problem) {
  card.classList.add("failed");
  card.querySelector(".photo").append(make("span", { ariaHidden: "true" }, "?"));
  card.querySelector(".wait").replaceWith(make("p", { className: "problem" }, problem));
}

function listBars(order, classes, probabilities) {
  const list = make("dl", { className: "bars" });
  for (const one of order) {
    const bar = make("i");
    bar.style.width = `${100 * probabilities[one]}%`;
    const number = make("dd", {}, make("span", { className: "track", ariaHidden: "true" }, bar), percent(probabilities[one]));
    list.append(make("dt", { title: classes[one] }, make("bdi", {}, classes[one])), number);
  }
  return list;
}
